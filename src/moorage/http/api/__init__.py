"""The management API, `/api/v1`. Nothing here is imported before somebody asks for it, except `door`."""
