package frame

import (
	_ "embed" // the files below
	"slices"

	"github.com/paylink/paylink/internal/gateway/asset"
)

//go:embed assets/dashboard.css
var cssBytes []byte

//go:embed assets/dashboard.js
var jsBytes []byte

// htmx 4.0.1, as npm has it (docs/dependencies.md).
//
//go:embed assets/htmx.min.js
var htmxBytes []byte

//go:embed assets/passkey.js
var passkeyBytes []byte

// assetPath is the address under which the files are served.
const assetPath = "/dashboard/assets/"

// The files, each under an address with its hash, so that a browser may keep it forever.
var (
	cssAsset     = asset.New(assetPath+"dashboard.css", asset.Sheet(cssBytes))
	jsAsset      = asset.New(assetPath+"dashboard.js", jsBytes)
	htmxAsset    = asset.New(assetPath+"htmx.js", htmxBytes)
	passkeyAsset = asset.New(assetPath+"passkey.js", passkeyBytes)
	svgAsset     = asset.New(assetPath+"paylink.svg", asset.Icon)
	assets       = []asset.Asset{cssAsset, jsAsset, htmxAsset, passkeyAsset, svgAsset}
)

// Assets returns the files that the dashboard's pages load.
func Assets() []asset.Asset { return slices.Clone(assets) }
