"""A Canaille (an identity provider) with one person, one group and one client; prints when it listens.

canaille_provider.py PORT REDIRECT_URI
"""

import datetime
import json
import sys
import threading

from canaille import create_app
from canaille.app import models
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

port, redirect = int(sys.argv[1]), sys.argv[2]
key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
app = create_app(
    {
        "SECRET_KEY": "of a test",
        "SERVER_NAME": f"127.0.0.1:{port}",
        "PREFERRED_URL_SCHEME": "http",
        "CANAILLE": {"DATABASE": "memory", "ADMIN_EMAIL": "admin@example.com", "EMAIL_CONFIRMATION": False, "HTMX": False, "JAVASCRIPT": False},
        "CANAILLE_OIDC": {"ACTIVE_JWKS": [json.loads(json.dumps(key.as_dict(private=True)))]},
    }
)
now = datetime.datetime.now(datetime.timezone.utc)
with app.app_context():
    from canaille.backends import Backend

    with Backend.instance.session():
        ann = models.User(
            formatted_name="Ann Archer", given_name="Ann", family_name="Archer", user_name="ann", emails=["ann@example.com"], password="correct horse"
        )
        Backend.instance.save(ann)
        Backend.instance.save(models.Group(display_name="sre", members=[ann]))
        client = models.Client(
            client_id="gate",
            client_secret="secret",
            client_name="gate",
            client_id_issued_at=now,
            client_uri=redirect,
            redirect_uris=[redirect],
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
            scope=["openid", "profile", "email", "groups"],
            token_endpoint_auth_method="client_secret_basic",
        )
        Backend.instance.save(client)
        client.audience = [client]
        Backend.instance.save(client)
server = make_server("127.0.0.1", port, app, threaded=True)
print("ready", flush=True)
threading.Thread(target=server.serve_forever).start()
sys.stdin.read()
server.shutdown()
