// Optional: some module proxies refuse this module, so there is no go.sum here. tools/install.sh then says
// "not available"; where it can be fetched, the checksum database vouches for it.
module moorage.invalid/tools/zot

go 1.26

tool zotregistry.dev/zot/v2/cmd/zot

require zotregistry.dev/zot/v2 v2.1.10
