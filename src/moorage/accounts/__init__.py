"""WHO IS THERE: the use cases of accounts, logins, tokens, projects, grants and the audit log; one file each."""
