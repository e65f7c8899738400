// Approving by passkeys on the card, with virtual authenticators.
export default ({ base, id, other, pictures, is, has, tell, somebody, state }) => {
  /// An authenticator of a page; what it does not say is that of a phone that knows its owner.
  async function authenticator(page, more = {}) {
    const devtools = await page.context().newCDPSession(page);
    await devtools.send("WebAuthn.enable");
    const options = { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true, ...more };
    const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", { options });
    return (method, rest = {}) => devtools.send(`WebAuthn.${method}`, { authenticatorId, ...rest });
  }
  /// Registers a passkey on the settings: what is handed to whoever enrols it.
  async function register(page, name) {
    await page.fill("#name", name);
    await page.click("#register button");
    const kept = page.locator(".passkeys li", { hasText: name });
    await kept.waitFor();
    return kept.locator(".line").textContent();
  }
  /// Uses a passkey as the page's script does, for a challenge of one's choice.
  const use = (page, challenge, credential, userVerification = "required") => page.evaluate(async ([challenge, id, userVerification]) => {
    const options = PublicKeyCredential.parseRequestOptionsFromJSON({ challenge, rpId: "localhost", allowCredentials: [{ type: "public-key", id }], userVerification, timeout: 5000 });
    const { rawId, response } = await navigator.credentials.get({ publicKey: options });
    const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
    return { id: text(rawId), client_data: text(response.clientDataJSON), authenticator_data: text(response.authenticatorData), signature: text(response.signature) };
  }, [challenge, credential, userVerification]);

  return {
    async signed() {
      const bob = await somebody("bob", `${base}/settings`);
      await authenticator(bob);
      const request = await tell(`enrol ${await register(bob, "laptop")}`);
      await bob.goto(`${base}/r/${request}`);
      is("the button says by what", await bob.textContent("#approve"), "Approve with a passkey");
      is("no number is asked for", await bob.locator("#number").count(), 0);
      await bob.click("#approve");
      await bob.locator("#stands .state", { hasText: /Approved|Consumed/ }).waitFor();
      has("the review", await bob.textContent(".reviews"), "passkey · server · signed");
      await bob.screenshot({ path: `${pictures}/flow-signed.png`, fullPage: true });
    },

    async signed_lasting() {
      const alice = await somebody("alice", `${base}/settings`);
      const own = await authenticator(alice);
      await tell(`enrol ${await register(alice, "laptop")}`);
      const [credential] = (await own("getCredentials")).credentials;
      const key = credential.credentialId.replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
      await alice.goto(`${base}/r/${id}`);
      const headers = { "x-gate-csrf": await alice.getAttribute("meta[name=csrf]", "content"), "sec-fetch-site": "same-origin" };
      const digest = await alice.getAttribute("#decide", "data-digest");
      const post = async (path, data) => alice.request.post(`${base}/v1/requests/${id}/${path}`, { data, headers });
      const three = { uses: 3, seconds: 3600, open: [] };
      for (const [what, standing] of [["more uses", { ...three, uses: 4 }], ["other words", { ...three, open: [5] }], ["a longer time", { ...three, seconds: 7200 }], ["none", undefined]]) {
        const given = await (await post("statement", { answer: "approve", standing: three })).json();
        const evidence = { statement: given.statement, webauthn: await use(alice, given.challenge, key) };
        const answer = await post("reviews", { review: "approve", digest, evidence, standing });
        is(what, answer.status(), 422);
        has(what, await answer.text(), "is not what was signed");
      }
      await alice.click("#more summary");
      await alice.fill("#uses", "3");
      await alice.selectOption("#span", "3600");
      await alice.check("#more input[value='5']");
      is("the button", await alice.textContent("#approve"), "Approve 3 times with a passkey");
      await alice.screenshot({ path: `${pictures}/flow-signed-lasting.png`, fullPage: true });
      await alice.click("#approve");
      await state(alice, "Approved");
      has("the review", await alice.textContent(".reviews"), "signed · 3 uses until");
    },

    async forged() {
      const alice = await somebody("alice", `${base}/settings`);
      const own = await authenticator(alice);
      await tell(`enrol ${await register(alice, "laptop")}`);
      const [credential] = (await own("getCredentials")).credentials;
      const key = credential.credentialId.replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
      const digests = {};
      for (const request of [id, other]) {
        await alice.goto(`${base}/r/${request}`);
        digests[request] = await alice.getAttribute("#decide", "data-digest");
      }
      const headers = { "x-gate-csrf": await alice.getAttribute("meta[name=csrf]", "content"), "sec-fetch-site": "same-origin" };
      const post = (path, data) => alice.request.post(base + path, { data, headers });
      const asked = async (request, answer) => (await post(`/v1/requests/${request}/statement`, { answer })).json();
      const body = (request, { statement }, webauthn) => ({ review: "approve", digest: digests[request], evidence: { statement, webauthn } });
      const review = (request, given, made) => post(`/v1/requests/${request}/reviews`, body(request, given, made));
      const refused = async (what, given, made, why) => {
        const answer = await review(id, given, made);
        is(what, answer.status(), 403);
        has(what, await answer.text(), why);
      };
      const notAsked = "was not given out for this answer to this request";
      let given = await asked(id, "reject");
      await refused("a rejection sent as an approval", given, await use(alice, given.challenge, key), notAsked);
      given = await asked(other, "approve");
      await refused("another request's", given, await use(alice, given.challenge, key), notAsked);
      given = await asked(id, "approve");
      await refused("one over another answer", given, await use(alice, (await asked(id, "reject")).challenge, key), "answered another challenge");
      given = await asked(id, "approve");
      await refused("one over another request", given, await use(alice, (await asked(other, "approve")).challenge, key), "answered another challenge");
      given = await asked(id, "approve");
      const bent = await use(alice, given.challenge, key);
      await refused("one with another signature", given, { ...bent, signature: bent.signature.replace(/....$/, "AAAA") }, "the signature does not hold");
      given = await asked(id, "approve");
      await own("setUserVerified", { isUserVerified: false });
      await refused("one without verification", given, await use(alice, given.challenge, key, "discouraged"), "did not check who touched it");
      await alice.goto(`${base}/r/${id}`);
      await alice.click("#approve");
      await alice.locator("#why.bad", { hasText: "The passkey was not used" }).waitFor();
      await own("setUserVerified", { isUserVerified: true });

      // A passkey that nobody enrolled, whoever registered it.
      await own("removeCredential", { credentialId: credential.credentialId });
      await alice.goto(`${base}/settings`);
      await register(alice, "mine, too");
      const [unknown] = (await own("getCredentials")).credentials;
      const strange = unknown.credentialId.replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
      given = await asked(id, "approve");
      is("it is not offered", given.credentials.join(), key);
      await refused("a passkey that is not enrolled", given, await use(alice, given.challenge, strange), "nobody is enrolled with the key");
      await refused("the very bytes again", given, await use(alice, given.challenge, strange), notAsked);

      // An authenticator has one passkey of a person for a page.
      await own("removeCredential", { credentialId: unknown.credentialId });

      // One of two slots is filled; the same use again is none.
      await own("addCredential", { credential: { ...credential, signCount: 100 } });
      given = await asked(other, "approve");
      const good = await use(alice, given.challenge, key);
      is("a good one", (await review(other, given, good)).status(), 200);
      const again = await review(other, given, good);
      is("the same again", again.status(), 403);
      has("the same again", await again.text(), "was used already");

      // A copy of the key counts from where it was copied.
      await own("removeCredential", { credentialId: credential.credentialId });
      await own("addCredential", { credential: { ...credential, signCount: 50 } });
      await alice.goto(`${base}/r/${id}`);
      await alice.click("#approve");
      await alice.locator("#why.bad", { hasText: "the signature does not count" }).waitFor();
      has("a counter that went back", await alice.textContent("#why"), "counter");
      await alice.screenshot({ path: `${pictures}/flow-passkey-refused.png`, fullPage: true });

      await own("removeCredential", { credentialId: credential.credentialId });
      await own("addCredential", { credential: { ...credential, signCount: 200 } });
      await alice.click("#approve");
      await state(alice, "Approved");
    },
  };
};
