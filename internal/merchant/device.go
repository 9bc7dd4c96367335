package merchant

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"time"
)

// DeviceLife is how long a browser stays known after its last sign-in.
const DeviceLife = 180 * 24 * time.Hour

// device is a statement that a browser keeps: a user has signed in there. It opens nothing. It
// only keeps failures of strangers, and their load, from the user's own browser. A new password
// ends it.
type device struct {
	ID       string
	User     string
	Password []byte // the passwordMark of the user
}

// passwordMark returns a digest of the stored hash, by which a statement ends with its password.
func passwordMark(hash string) []byte {
	sum := sha256.Sum256([]byte(hash))
	return sum[:]
}

// knownDevice returns the id of the device if the statement says that this user has signed in
// there with the current password; otherwise "".
func (l *Local) knownDevice(u User, statement string) string {
	var d device
	if statement == "" || l.readState(deviceType, statement, &d) != nil {
		return ""
	}
	if d.User != u.ID || !bytes.Equal(d.Password, passwordMark(u.PasswordHash)) {
		return ""
	}
	return d.ID
}

// remember returns a new statement for a browser in which the user has just signed in. A known
// device keeps its id.
func (l *Local) remember(u User, statement string) (string, error) {
	known := l.knownDevice(u, statement)
	if known == "" {
		known = rand.Text()
	}
	return l.state(deviceType, device{ID: known, User: u.ID, Password: passwordMark(u.PasswordHash)}, DeviceLife)
}
