// oidc-provider (certified) with one client; people sign on by a form that also says which acr and amr they prove. Prints when it listens.
// provider.mjs MODULES PORT SERVER
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";

const [modules, port, server] = process.argv.slice(2);
const require = createRequire(modules + "/");
const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")).href);
const issuer = `http://127.0.0.1:${port}`;
const jwk = (type, options, more) => ({ ...generateKeyPairSync(type, options).privateKey.export({ format: "jwk" }), use: "sig", ...more });
const alg = process.env.ALG ?? "RS256";
const keys = {
  RS256: () => jwk("rsa", { modulusLength: 2048 }, { alg, kid: "k" }),
  PS256: () => jwk("rsa", { modulusLength: 2048 }, { alg, kid: "k" }),
  ES256: () => jwk("ec", { namedCurve: "P-256" }, { alg, kid: "k" }),
  EdDSA: () => jwk("ed25519", {}, { alg, kid: "k" }),
};
const groups = { ann: ["sre", "dba"], bob: ["dba"] };
// With CLIENT_KEY, a file with the public half in PEM, the client signs instead of knowing a secret.
const signs = process.env.CLIENT_KEY && createPublicKey(readFileSync(process.env.CLIENT_KEY)).export({ format: "jwk" });
const client = signs
  ? { token_endpoint_auth_method: "private_key_jwt", token_endpoint_auth_signing_alg: process.env.CLIENT_ALG, jwks: { keys: [{ ...signs, kid: "c" }] } }
  : { client_secret: "secret" };
const provider = new Provider(issuer, {
  clients: [{
    client_id: "gate", ...client, redirect_uris: [`${server}/auth/callback`], post_logout_redirect_uris: [`${server}/`],
    grant_types: ["authorization_code", "refresh_token"], response_types: ["code"], id_token_signed_response_alg: alg,
    backchannel_logout_uri: `${server}/auth/backchannel`, backchannel_logout_session_required: true, require_auth_time: true,
  }],
  jwks: { keys: [keys[alg]()] },
  cookies: { keys: ["of a test"] },
  claims: { openid: ["sub", "sid", "acr", "amr", "auth_time"], profile: ["name"], email: ["email", "email_verified"], groups: ["groups"] },
  conformIdTokenClaims: false,
  acrValues: ["phr", "pwd"],
  pkce: { required: () => true },
  rotateRefreshToken: true,
  scopes: ["openid", "offline_access", "profile", "email", "groups"],
  features: {
    devInteractions: { enabled: false },
    rpInitiatedLogout: { enabled: true },
    backchannelLogout: { enabled: true },
  },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  // Its own dispatcher reaches no loopback address, where the test's server is.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  findAccount: (_, sub) => ({
    accountId: sub,
    claims: () => ({ sub, name: `Name of ${sub}`, email: `${sub}@example.com`, email_verified: true, groups: groups[sub] ?? [] }),
  }),
});
provider.on("server_error", (_, error) => console.error(error));
provider.on("backchannel.error", (_, error) => console.error(error));

async function interaction(request, response) {
  const details = await provider.interactionDetails(request, response);
  if (request.method === "GET") {
    response.setHeader("content-type", "text/html");
    response.end(`<form method="post" action="${request.url}"><input name="login" value=""><input name="acr" value=""><input name="amr" value=""></form>`);
    return;
  }
  let body = "";
  for await (const chunk of request) body += chunk;
  const fields = new URLSearchParams(body);
  const accountId = fields.get("login");
  const grant = new provider.Grant({ accountId, clientId: details.params.client_id });
  grant.addOIDCScope(details.params.scope);
  const login = { accountId };
  if (fields.get("acr")) login.acr = fields.get("acr");
  if (fields.get("amr")) login.amr = fields.get("amr").split(" ");
  await provider.interactionFinished(request, response, { login, consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: false });
}

// Tells the groups of a person anew, for the test.
const admin = (request, response) => {
  const url = new URL(request.url, issuer);
  groups[url.searchParams.get("who")] = url.searchParams.getAll("group");
  response.end("told");
};

const callback = provider.callback();
const listening = createServer((request, response) => {
  if (request.url.startsWith("/admin")) return admin(request, response);
  if (request.url.startsWith("/interaction/")) return interaction(request, response).catch((error) => { console.error(error); response.statusCode = 500; response.end(String(error)); });
  return callback(request, response);
});
listening.listen(Number(port), "127.0.0.1", () => console.log("ready"));
process.stdin.on("end", () => process.exit(0)).resume();
