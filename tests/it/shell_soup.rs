//! Random scripts, of a grammar and of noise.

/// A small generator, so that a seed tells the whole run (xorshift64*).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % sides
    }

    fn chance(&mut self, of: usize) -> bool {
        self.roll(of) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }
}

/// What scripts are made of: what the reader knows, and what shells read in ways of their own.
pub const NOISE: &[&str] = &[
    "alpha",
    "b-2",
    "c.d",
    "x=1",
    "=x",
    "a=b=c",
    "-n",
    "--",
    "@{u}",
    "%h",
    "+x",
    "a:b,c",
    "^",
    "!",
    "!!",
    "{",
    "}",
    "{a,b}",
    "[a]",
    "*",
    "?",
    "~",
    "~/x",
    "a~b",
    "$X",
    "$1",
    "${X}",
    "$(q)",
    "`q`",
    "$'a'",
    "$\"a\"",
    "'s q'",
    "'",
    "\"d q\"",
    "\"",
    "\"\\$\"",
    "\"\\q\"",
    "\"\\\\\"",
    "\"a'b\"",
    "'a\"b'",
    "\\",
    "\\ ",
    "\\\n",
    "\\;",
    "\\'",
    "\\\"",
    "\\x",
    "'a'\"b\"c",
    "''",
    "\"\"",
    " ",
    "  ",
    "\t",
    "\n",
    ";",
    ";;",
    "&",
    "&&",
    "||",
    "|",
    "|&",
    ">",
    "<",
    "<<x",
    "2>&1",
    "(",
    ")",
    "((",
    "))",
    "#",
    "# c\n",
    "a#b",
    "if",
    "then",
    "fi",
    "time",
    "case",
    "in",
    "esac",
    "do",
    "done",
    "while",
    "for",
    "else",
    "function",
    "coproc",
    "eval",
    "exec",
    "command",
    "builtin",
    "cd",
    "set",
    "export",
    "alias",
    "printf",
    "test",
    "-v",
    "echo",
    "true",
    "\u{e9}",
    "\"\u{4e2d}\"",
    "\"\u{4e2d}\\\"\"",
    "\r",
    "\u{b}",
    "\u{a0}",
    "[[",
    "]]",
    "[",
    "]",
    "=",
    "==",
    "-eq",
    "$S",
    "$N",
    "$V",
    "$K",
    "$((",
    "$((1))",
    "${X:-",
    "<<<",
    "<(",
    ">(",
    "&>",
    ">>",
    "$@",
    "\"$@\"",
    "<<E\n$(q)\nE\n",
    "<<'E'\n$(q)\nE\n",
    "E\n",
    "..",
    ",",
    "{1..3}",
    "{a",
    "b}",
    "X=",
    "Y=",
    "declare",
    "read",
    "trap",
    "unset",
    "local",
    "return",
    "exit",
    "%n",
    "IFS=",
    "$",
    "`",
    "\\`",
    "~+",
    "!(",
    "@(",
    "+=",
    "[0]=",
    "esac",
    "-",
    "<&-",
    ">&2",
    "0",
    "1",
    "2",
    "$#",
    "$?",
    "${#X}",
    "${X%a}",
    "${X/a/b}",
    "${!X}",
    "${X:1}",
    "${X@Q}",
    "${X:=a}",
    "$[1]",
    "\u{1}",
    "\u{7f}",
    "-a",
    "-o",
    "(a)",
    ";&",
    ";;&",
];

const NAMES: &[&str] = &[
    "alpha", "alpha", "beta", "gamma", "ls", "cat", "echo", "true", "false", "b-2", "git", "printf", "test", "unheard", "$K", ":", "kill",
];

const WORDS: &[&str] = &[
    "a",
    "b.c",
    "-n",
    "--x=1",
    "HEAD~1",
    "a:b",
    "x=1",
    "stash@{0}",
    "@{u}..",
    "{}",
    "''",
    "\"\"",
    "'s q'",
    "\"d q\"",
    "\"$X\"",
    "$X",
    "$N",
    "\"$N\"",
    "\"a${E}b\"",
    "${N}",
    "${N:-z}",
    "\"${N%b*}\"",
    "${#N}",
    "$?",
    "$#",
    "\"$@\"",
    "$*",
    "$1",
    "\"$S\"",
    "$S",
    "$Q",
    "$P",
    "$T",
    "*",
    "*.txt",
    "?",
    "[ab]*",
    "old.*",
    "[!x]*",
    "~",
    "~/a",
    "$HOME",
    "\"$HOME/a\"",
    "$((1+2))",
    "$(beta a)",
    "\"$(beta b)\"",
    "`beta c`",
    "\"`beta d`\"",
    "\\;",
    "\\ ",
    "a\\ b",
    "\"\\$X\"",
    "'$X'",
    "!",
    "]",
    "^",
    "a#b",
    "\u{e9}",
    "'\u{e9}'",
    "\"\u{4e2d} \u{101}\"",
    "done",
    "fi",
    "if",
    "}",
    "{",
    "in",
    "2",
    "-v",
    "[",
    "\"a\nb\"",
    "$(cat <<'E'\nit's $(pwned)\nE\n)",
    "100%",
    "a,b",
    "+x",
    "\"!\"",
    "\"$\"",
    "$E",
    "\"$E\"",
    "=",
    "a=~",
    "%s",
    "W$W",
];

const BASH_WORDS: &[&str] = &[
    "{a,b}",
    "x{,.bak}",
    "{1..3}",
    "{a..c}d",
    "{a,b}{c,d}",
    "$'a\\tb'",
    "$'\\x41\\101\\''",
    "<(beta e)",
    "${N/a/b}",
    "\"${N//a/}\"",
    "${N:1}",
    "${N:0:2}",
    "\"${N^^}\"",
    "\"${@:2}\"",
    "\"${N[@]}\"",
    "pre{x,y}*",
    "~/{a,b}",
];

const REDIRECTIONS: &[&str] = &[
    "> out",
    ">> out",
    "2> err",
    "2>&1",
    ">&2",
    "2>/dev/null",
    ">/dev/null",
    "< old.txt",
    "</dev/null",
    "> \"o p\"",
    "> d/out",
    "> \"$D/out\"",
    "> $E",
    "2>>err",
    ">| out",
    "<> rw",
    "1>&2",
    "3>&1",
    ">&-",
    "0<old.txt",
    "> ~/f",
    "<<E\nbody $X\nE\n",
    "<<'E'\nbody $(pwned)\nE\n",
    "<<-E\n\tbody\n\tE\n",
    "<< -E\nbody\n-E\n",
    "<<E\n$(beta f) `beta g`\nE\n",
    "> o$(beta h)",
];

const BASH_REDIRECTIONS: &[&str] = &["&> both", "&>> both", "<<< here", "<<< \"$N\"", "< <(beta i)", "> >(beta j)", ">& both"];

const ASSIGNMENTS: &[&str] = &[
    "X=1",
    "X=",
    "Y=a",
    "Y=\"$N\"",
    "X=$N",
    "X=$(beta k)",
    "Y='*'",
    "X=*",
    "Y=~/x",
    "X=$'a'",
    "X=$((1))",
    "Y={a,b}",
    "LC_ALL=C",
    "PATH=x",
    "X=$S",
    "Y=$X",
    "IFS=x",
];

/// Commands of the shell itself.
const BUILTINS: &[&str] = &[
    "cd d",
    "cd d/e",
    "cd sub",
    "cd ./d",
    "cd ..",
    "cd \"$D\"",
    "cd nowhere",
    "cd",
    "cd -",
    "cd d/../sub",
    "cd .",
    "cd ''",
    "cd -- d",
    "cd d > o",
    "exit",
    "exit 1",
    "exit $?",
    "exit 1 2",
    "return",
    "return 1",
    "set -e",
    "set -eu",
    "set +e",
    "set -x",
    "set -f",
    "set -o noglob",
    "set -- a b",
    "shift",
    "export X=2",
    "export Y",
    "export X=$N",
    "unset X",
    "read X",
    "read -r Y X",
    "IFS= read -r X",
    "wait",
    "command alpha a",
    "command -v ls",
    "type ls",
    "hash -r",
    "trap '' INT",
    "break",
    "continue",
    "[ -n \"$N\" ]",
    "[ \"$N\" = a ]",
    "[ \"$V\" \"$S\" ]",
    "[ \"$S\" -eq 1 ]",
    "[ -z $N ]",
    "test \"$V\" = \"$S\"",
    "[ ! -f old.txt ]",
    "[ \"$#\" -gt 1 -a \"$N\" != b ]",
    "exec gamma a",
    "printf \"$S\"",
    "printf '%s%n' X",
    "printf %s \"$S\"",
    ": \"${X:-a}\"",
    "! alpha",
    "command cd d",
    "umask 022",
    "unset IFS",
    "readonly Z=1",
    "export W",
    "printf '%d%%\\n' \"$S\"",
];

const BASH_BUILTINS: &[&str] = &[
    "[[ -f old.txt ]]",
    "[[ $N == a* ]]",
    "[[ \"$S\" = x && -n $V ]]",
    "[[ $S -eq 1 ]]",
    "[[ $# -gt 2 ]]",
    "[[ -v S ]]",
    "[[ $N =~ ^a ]]",
    "[[ ! ( -d d || -z $E ) ]]",
    "time alpha",
    "time -p alpha",
    "time -- alpha",
    "declare X=4",
    "declare -x Y=$N",
    "read -ra X",
    "local X=1",
    "mapfile -t X",
    "declare -i X=$S",
    "[[ a < b ]]",
    "typeset X",
    "coproc alpha",
    "alpha |& beta",
    "((1))",
    "let X=1",
    "export X={a,b}",
];

/// Pieces of scripts with numbers, functions and traps: V is what is taken for a number, by a name that is inherited with harm in it.
const STATEFUL: &[&str] = &[
    "S=0",
    "S=1",
    "V=2",
    "S=$((S+1))",
    "S=$((V * 2))",
    "S=$V",
    "S=$(beta)",
    "[ $S -lt 5 ]",
    "[ $V = 1 ]",
    "[ $S $V ]",
    "test $V -gt $S",
    "alpha $S",
    "alpha $V$S",
    "alpha $((S + V))",
    "alpha $((S=3))",
    "unset S",
    "read S",
    "read V",
    "S=08",
    "S= ",
    "readonly S",
    "readonly V=$N",
    "export V",
    "export S=4",
    "f",
    "f a",
    "g $S",
    "X=1 f",
    "f > out",
    "f() { alpha \"$1\"; }",
    "f() { beta; cd d; }",
    "g() { S=$Q; }",
    "g () { f; return 1; }",
    "g() { V=0; [ $V -gt 1 ]; }",
    "f() { local S=3; gamma $S; }",
    "f() { X=5; alpha; }",
    "trap 'beta \"$1\"' EXIT",
    "trap f EXIT",
    "trap 'S=x' INT",
    "trap 'V=$S' EXIT",
    "trap 'X=2; alpha' USR1",
    "kill -USR1 $$",
    ": \"${X:=b}\"",
    ": ${S:=1}",
    "alpha ${V:=2}",
    "alpha & S=1",
    "S=1 & alpha",
    "S=1 | alpha",
    "(S=1)",
    "alpha && S=1",
    "alpha || V=1",
    "exit",
    "g",
    "command f",
    "S=1 >/nowhere/x",
    "S=$((1/0))",
    "X=$((1/0)); S=1",
    "X=$((V/0)); cd d || exit",
    "cd d || exit",
    "{ cd d || exit; } > d",
    "cd d || exit 2>&7",
    "S=1 2>&7",
    "exit 2>&7",
    "S=$!",
    "read",
    "alpha $((X$V))",
    "alpha $((++S = 1))",
    "V=$S X=$((V)) alpha",
    "unset f",
    "X=3 exec alpha",
    "X=3 exit",
    "if beta; then S=1; else alpha $((S)); fi",
    "case $X in a) S=1 ;; *) alpha $((S)) ;; esac",
    "g() { V=2; f() { alpha $((V)); }; }",
    "V=1 g",
    "f() { g; gamma; }",
    "for X in a b; do f; g() { cd d; }; done",
    "S=$(($# + 1))",
    "S=$?",
    "V=$#",
    "S=1 V=$S",
    "V=1 S=$((V))",
    "shift",
    "set -u",
    "set -e",
    "f | g",
    "$(f)",
    "(f)",
];

const BASH_STATEFUL: &[&str] = &[
    "((S++))",
    "((S += V))",
    "((S = 2))",
    "((S < 5)) && alpha",
    "[[ $S -gt 1 ]]",
    "[[ $V -eq $S ]]",
    "for ((S=0; S<2; S++)); do alpha $S; done",
    "for ((i=0; i<S; i++)); do alpha; done",
    "X=(a \"$N\" $N)",
    "X+=(b)",
    "X+=c",
    "S+=1",
    "S[0]=$N",
    "X[1]=2",
    "alpha \"${X[@]}\"",
    "alpha ${X[$S]}",
    "alpha ${X[S]}",
    "alpha ${#X[@]}",
    "function f { alpha; }",
    "function g() { beta; }",
    "pushd d",
    "popd",
    "pushd",
    "pushd d && alpha && popd && beta",
    "alpha $((RANDOM % 2))",
    "declare S=$N",
    "declare V=5",
    "X=($S $V)",
    "X=(\"[0]=$Q\" $W)",
    "X=($T)",
    "local S=2",
    "mapfile -t S",
    "Y=($(beta) # c\n b)",
    "S=()",
    "alpha ${S}",
    "for S in 1 2; do alpha $S; [ $S = 1 ]; done",
    "for V in {1..2}; do alpha $V; done",
    "for S in $N; do [ $S = 1 ]; done",
];

/// Writes random scripts.
pub struct Soup {
    pub dice: Dice,
    pub bash: bool,
}

impl Soup {
    pub fn script(&mut self) -> Vec<u8> {
        if self.dice.chance(5) {
            return self.noise().into_bytes();
        }
        let mut script = if self.dice.chance(4) {
            self.stateful().into_bytes()
        } else {
            let length = 1 + self.dice.roll(3);
            self.list(length, 2).into_bytes()
        };
        if self.dice.chance(3) {
            for _ in 0..=self.dice.roll(2) {
                self.mutate(&mut script);
            }
        }
        script
    }

    /// A script in which names come to mean something.
    fn stateful(&mut self) -> String {
        let mut script = String::new();
        for _ in 0..2 + self.dice.roll(6) {
            let piece = if self.bash && self.dice.chance(4) { self.dice.pick(BASH_STATEFUL) } else { self.dice.pick(STATEFUL) };
            match self.dice.roll(12) {
                0 => script += &format!("if beta; then {piece}; fi"),
                1 => script += &format!("for X in a b; do {piece}; alpha $X; done"),
                2 => script += &format!("{{ {piece}; alpha; }}"),
                3 => script += &format!("while beta; do {piece}; {}; done", self.dice.pick(STATEFUL)),
                4 => script += &format!("{piece} && {}", self.dice.pick(STATEFUL)),
                _ => script += piece,
            }
            script += self.dice.pick(&["; ", "\n", "\n", "; ", " && ", " || ", "; "]);
        }
        script + "alpha $S $V"
    }

    fn noise(&mut self) -> String {
        let mut script = String::new();
        for _ in 0..=self.dice.roll(12) {
            script += self.dice.pick(NOISE);
            if self.dice.roll(3) > 0 {
                script.push(' ');
            }
        }
        script
    }

    fn mutate(&mut self, script: &mut Vec<u8>) {
        let at = self.dice.roll(script.len() + 1);
        match self.dice.roll(4) {
            0 if at < script.len() => {
                script.remove(at);
            }
            1 if at < script.len() => {
                let end = (at + 1 + self.dice.roll(6)).min(script.len());
                let copy = script[at..end].to_vec();
                let to = self.dice.roll(script.len() + 1);
                script.splice(to..to, copy);
            }
            _ => {
                let noise = self.dice.pick(NOISE);
                script.splice(at..at, noise.bytes());
            }
        }
    }

    fn list(&mut self, length: usize, depth: usize) -> String {
        let mut list = String::new();
        for index in 0..length {
            if index > 0 {
                list += self.dice.pick(&["; ", ";", "\n", " && ", "&&", " || ", " | ", "|", " & ", " &&\n", " ; # c\n", "\n\n"]);
            }
            list += &self.command(depth);
        }
        list
    }

    fn body(&mut self, depth: usize) -> String {
        let length = 1 + self.dice.roll(2);
        self.list(length, depth - 1)
    }

    fn command(&mut self, depth: usize) -> String {
        if depth == 0 || self.dice.roll(3) > 0 {
            return self.simple();
        }
        let end = self.dice.pick(&["; ", "\n", " ;\n"]);
        let inside = self.body(depth);
        let other = self.body(depth);
        let word = self.word();
        let mut command = match self.dice.roll(12) {
            0 | 1 => format!("( {inside} )"),
            2 => format!("({inside})"),
            3 => format!("{{ {inside}{end}}}"),
            4 => format!("if {inside}{end}then {other}{end}fi"),
            5 => format!("if {inside}{end}then {other}{end}else {}{end}fi", self.simple()),
            6 => format!("while alpha {word}{end}do {inside}{end}done"),
            7 => format!("until beta; do {inside}{end}done"),
            8 => format!("for X in {word} {}{end}do {inside}{end}done", self.word()),
            9 => format!("for Y in {word}; do {inside}; {other}{end}done"),
            10 => format!("case {word} in\n a*) {inside} ;;\n b|\"$N\") {other};; (*) alpha\nesac"),
            _ => format!("for X\ndo\n{inside}\nbeta\ndone"),
        };
        if self.dice.chance(4) {
            command += " ";
            command += &self.redirection();
        }
        command
    }

    fn simple(&mut self) -> String {
        if self.dice.chance(3) {
            let builtin = if self.bash && self.dice.chance(3) { self.dice.pick(BASH_BUILTINS) } else { self.dice.pick(BUILTINS) };
            return builtin.to_owned();
        }
        let mut command = String::new();
        while self.dice.chance(6) {
            command += self.dice.pick(ASSIGNMENTS);
            command += " ";
        }
        if self.dice.chance(10) {
            return command + "given " + &self.text();
        }
        if command.is_empty() || !self.dice.chance(4) {
            command += self.dice.pick(NAMES);
        }
        for _ in 0..self.dice.roll(4) {
            command += self.dice.pick(&[" ", "  ", "\t", " \\\n ", " "]);
            if self.dice.chance(5) {
                command += &self.redirection();
            } else {
                command += &self.word();
            }
        }
        command
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        loop {
            word += if self.bash && self.dice.chance(6) { self.dice.pick(BASH_WORDS) } else { self.dice.pick(WORDS) };
            if !self.dice.chance(5) {
                return word;
            }
        }
    }

    /// A text for a command's stdin.
    fn text(&mut self) -> String {
        let quoted = self.dice.pick(&["", "", "'", "\""]);
        let strips = self.dice.pick(&["", "", "-"]);
        let mut text = format!("<<{strips}{quoted}E{quoted}\n");
        for _ in 0..self.dice.roll(5) {
            text += self.dice.pick(&[
                "a b", "\t", "\\$X", "\\\\", "\\n", "\"q\"", "'s'", "$", "$N", "$(beta)", " E", "E ", "#c", "\\\"", "`", "\u{e9}", "!",
                "\\", "${N}", "\\`",
            ]);
            text += self.dice.pick(&["\n", "", " "]);
        }
        text + "\nE\n"
    }

    fn redirection(&mut self) -> String {
        let from = if self.bash && self.dice.chance(4) { BASH_REDIRECTIONS } else { REDIRECTIONS };
        self.dice.pick(from).to_owned()
    }
}
