package link

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// MaxPublicURLBytes bounds the address that links and receipts begin with: a link must fit a QR
// code of level M, which holds 2331 bytes, and a receipt must fit receipt.MaxChars.
const MaxPublicURLBytes = 255

// quietModules is the white border that scanners need (ISO/IEC 18004).
const quietModules = 4

// QRSVG returns the QR code of a link's URL as SVG. Level M survives a bad print and keeps the
// code of the longest token small enough for a phone.
func QRSVG(url string) (string, error) {
	side, path, err := QRPath(url)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges" role="img">`+
		`<title>Payment link as a QR code</title><path fill="#fff" d="M0 0h%dv%dH0z"/><path d="%s"/></svg>`, side, side, side, side, path), nil
}

// QRPNG returns the QR code as PNG, for programs that know no SVG, such as mail programs.
func QRPNG(url string) ([]byte, error) {
	code, err := qr.Encode(url, qr.M)
	if err != nil {
		return nil, err
	}
	return code.PNG(), nil
}

// QRPath returns the QR code of a text as one path of the runs of black modules, row by row,
// and the side of the square that holds it, with the border that scanners need.
func QRPath(text string) (side int, path string, err error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return 0, "", err
	}

	var b strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; {
			start := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if x > start {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", start+quietModules, y+quietModules, x-start, x-start)
			} else {
				x++
			}
		}
	}

	return code.Size + 2*quietModules, b.String(), nil
}
