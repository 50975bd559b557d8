"""A push into a repository that no push may make is refused at its first request, over a socket."""

from __future__ import annotations

import json

from tests.support.local import PASSWORD, Accounts, basic
from tests.support.wire import Client, digest
from tests.wire.conftest import Serve


def test_first_request_of_a_push_is_refused(serve: Serve) -> None:
    server = serve(arguments=["--auth", "local"])
    accounts = Accounts(server)
    accounts.user("alice")
    accounts.user("bob", admin=False)
    accounts.run("UPDATE projects SET create_on_push='repositories' WHERE id=1")
    alice, bob = [basic("alice", PASSWORD)], [basic("bob", PASSWORD)]
    with Client(server) as client:
        data = b"some content"
        client.ask("POST", f"/v2/team/old/blobs/uploads/?digest={digest(data)}", alice, data).expect(201)
        accounts.run("UPDATE projects SET create_on_push='no' WHERE id=1")
        refused = client.ask("POST", "/v2/team/new/blobs/uploads/", alice).expect(403)
        error = json.loads(refused.body)["errors"][0]
        assert error["code"] == "DENIED"
        assert "create_on_push" in error["message"]
        client.ask("POST", "/v2/team/old/blobs/uploads/", alice).expect(202)
        # Who may not push there at all is told the same of both.
        hidden = [client.ask("POST", f"/v2/team/{name}/blobs/uploads/", bob).expect(403) for name in ("old", "new")]
        assert len({answer.body for answer in hidden}) == 1
        accounts.run("UPDATE projects SET create_on_push='repositories' WHERE id=1")
        client.ask("POST", "/v2/team/new/blobs/uploads/", alice).expect(202)
    refusals = accounts.audit("access")
    assert ("refused", "alice") in {row[:2] for row in refusals}
    assert accounts.rows("SELECT count(*) FROM uploads WHERE repository='team/new'") == [(1,)]
