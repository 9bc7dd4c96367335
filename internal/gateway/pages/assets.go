package pages

import (
	_ "embed" // the two files below
	"slices"

	"github.com/paylink/paylink/internal/gateway/asset"
)

//go:embed assets/paylink.css
var ownCSS []byte

//go:embed assets/paylink.js
var jsBytes []byte

// The files that pages load. Each is served under an address with its hash, so a browser
// may keep it forever.
var (
	cssBytes = asset.Sheet(ownCSS)
	cssAsset = asset.New("/assets/paylink.css", cssBytes)
	jsAsset  = asset.New("/assets/paylink.js", jsBytes)
	svgAsset = asset.New("/assets/paylink.svg", asset.Icon)
	assets   = []asset.Asset{cssAsset, jsAsset, svgAsset, frameAsset, solveAsset}
)

// Assets returns the files that pages load, and every version of the script that merchants put
// on their own. The style sheet of a form's look is made from the look, so it is not one of
// them.
func Assets() []asset.Asset {
	all := slices.Clone(assets)
	for _, e := range embeds {
		all = append(all, asset.Asset{Path: "/embed.js?v=" + e.version, Body: e.body, Integrity: e.integrity})
	}
	return all
}
