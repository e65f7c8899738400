// Makes and uses passkeys in Chromium with a virtual authenticator, and prints what the browser gives.
// passkey.mjs MODULES < {"register": BASE64URL, "assert": [BASE64URL, …]}
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { existsSync, readFileSync } from "node:fs";

const require = createRequire(process.argv[2] + "/");
const { chromium } = require("playwright-core");
const asked = JSON.parse(readFileSync(0, "utf8"));
const server = createServer((_, reply) => reply.setHeader("content-type", "text/html").end("<!doctype html><title>passkeys</title>"));
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const origin = `http://localhost:${server.address().port}`;
const executablePath = ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium"].find((path) => existsSync(path));
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const page = await browser.newPage();
await page.goto(origin);
const devtools = await page.context().newCDPSession(page);
await devtools.send("WebAuthn.enable");

async function authenticator(options) {
  const base = { protocol: "ctap2", transport: "usb", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true };
  return (await devtools.send("WebAuthn.addVirtualAuthenticator", { options: { ...base, ...options } })).authenticatorId;
}

const create = (attestation) => page.evaluate(async ([challenge, attestation]) => {
  const options = PublicKeyCredential.parseCreationOptionsFromJSON({
    rp: { id: "localhost", name: "gate" },
    user: { id: "AAAAAAAAAAAAAAAAAAAAAA", name: "ada", displayName: "Ada" },
    challenge,
    pubKeyCredParams: [{ type: "public-key", alg: -8 }, { type: "public-key", alg: -7 }, { type: "public-key", alg: -257 }],
    authenticatorSelection: { userVerification: "required" },
    attestation,
  });
  return (await navigator.credentials.create({ publicKey: options })).toJSON();
}, [asked.register, attestation]);

const use = (challenge, id, userVerification) => page.evaluate(async ([challenge, id, userVerification]) => {
  const options = PublicKeyCredential.parseRequestOptionsFromJSON({
    challenge, rpId: "localhost", allowCredentials: [{ type: "public-key", id }], userVerification, timeout: 5000,
  });
  try {
    return (await navigator.credentials.get({ publicKey: options })).toJSON();
  } catch (error) {
    return error.name;
  }
}, [challenge, id, userVerification]);

const out = { origin };
let id = await authenticator({});
out.none = await create("none");
out.uses = [];
for (const challenge of asked.assert) out.uses.push(await use(challenge, out.none.id, "required"));
await devtools.send("WebAuthn.setUserVerified", { authenticatorId: id, isUserVerified: false });
out.refused = await use(asked.assert[0], out.none.id, "required");
out.unverified = await use(asked.assert[0], out.none.id, "discouraged");
await devtools.send("WebAuthn.removeVirtualAuthenticator", { authenticatorId: id });
id = await authenticator({});
out.direct = await create("direct");
await devtools.send("WebAuthn.removeVirtualAuthenticator", { authenticatorId: id });
await authenticator({ defaultBackupEligibility: true, defaultBackupState: true });
out.synced = await create("direct");
out.synced_use = await use(asked.assert[0], out.synced.id, "required");
await browser.close();
server.close();
console.log(JSON.stringify(out));
