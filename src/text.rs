//! Everything that a person sees passes here.

/// Makes bytes visible: control, bidirectional and zero-width characters and invalid UTF-8 become escapes.
pub fn escape(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => shown.push_str("\\n"),
                '\t' => shown.push_str("\\t"),
                '\r' => shown.push_str("\\r"),
                '\u{20}'..='\u{7e}' => shown.push(c),
                _ if c.is_alphanumeric() => shown.push(c),
                _ => shown.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            }
        }
        for byte in chunk.invalid() {
            shown.push_str(&format!("\\x{byte:02x}"));
        }
    }
    shown
}
