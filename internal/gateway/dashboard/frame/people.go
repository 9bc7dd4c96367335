package frame

import "github.com/paylink/paylink/internal/merchant"

// People returns the names of the account's users and API keys by their ids: at most a hundred of
// each, the newest keys.
func (v *Visit) People() (map[string]string, error) {
	users, err := v.d.config.Merchants.Users(v.Context(), v.Account.ID)
	if err != nil {
		return nil, err
	}
	keys, err := v.d.config.Merchants.Keys(v.Context(), v.Account.ID, "", merchant.MaxKeyPage)
	if err != nil {
		return nil, err
	}
	names := make(map[string]string, len(users)+len(keys))
	for _, u := range users {
		names[u.ID] = u.Username
	}
	for _, k := range keys {
		names[k.ID] = k.Name
	}
	return names, nil
}
