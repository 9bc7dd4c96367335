package merchant_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/store/sqltest"
)

// onEach runs a test on each SQL engine.
func onEach(t *testing.T, test func(*testing.T, *world)) {
	t.Helper()
	sqltest.OnEach(t, func(t *testing.T, url string) { test(t, newWorldOn(t, url, nil)) })
}

// burst makes n calls at once and returns how often each code was the answer; "" is success.
func burst(n int, call func(i int) error) map[string]int {
	codes := make([]string, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			codes[i] = fault.Code(call(i))
		})
	}
	close(start)
	wg.Wait()
	count := map[string]int{}
	for _, code := range codes {
		count[code]++
	}
	return count
}

// TestGuessesAtOnce sends 600 wrong guesses of each kind at once, over three processes on one store.
// Only the free ones are compared.
func TestGuessesAtOnce(t *testing.T) {
	const guesses, free = 600, 5
	onEach(t, func(t *testing.T, w *world) {
		ada, bob, carol, dora := w.signUp("ada"), w.signUp("bob"), w.signUp("carol"), w.signUp("dora")
		w.enrolled(ada.ID)
		w.enrolled(dora.ID)
		_, err := w.BeginTOTP(t.Context(), carol.ID, password)
		w.good(err)
		proof := func(login string) string {
			in, err := w.try(merchant.SignInRequest{Login: login, Password: password, TwoSteps: true})
			w.good(err)
			return in.Proof
		}
		codes, recoveries := proof("ada"), proof("dora")
		processes := []*merchant.Local{w.Local, merchant.New(w.config), merchant.New(w.config)}
		signIn := func(i int, r merchant.SignInRequest) error {
			r.TwoSteps = true
			in, err := processes[i%len(processes)].SignIn(t.Context(), r, nil)
			if in.Token != "" {
				t.Error("a wrong guess opened a session")
			}
			return err
		}
		for _, kind := range []struct {
			name, wrong, count string
			try                func(i int) error
		}{
			{"codes", "otp_invalid", "user:" + ada.ID, func(i int) error {
				return signIn(i, merchant.SignInRequest{Proof: codes, OTP: "00000x"})
			}},
			{"recovery codes", "otp_invalid", "user:" + dora.ID, func(i int) error {
				return signIn(i, merchant.SignInRequest{Proof: recoveries, OTP: "0000-0000-0000-0000"})
			}},
			{"passwords", "credentials_invalid", "user:" + bob.ID, func(i int) error {
				return signIn(i, merchant.SignInRequest{Login: "bob", Password: "wrong horse battery"})
			}},
			{"passwords again", "password_wrong", "again:" + bob.ID, func(i int) error {
				return processes[i%len(processes)].ChangePassword(t.Context(), bob.ID, "", "wrong horse battery", "another good password", "")
			}},
			{"a new authenticator's codes", "otp_invalid", "again:" + carol.ID, func(i int) error {
				_, err := processes[i%len(processes)].ConfirmTOTP(t.Context(), carol.ID, "00000x")
				return err
			}},
		} {
			got := burst(guesses, kind.try)
			if got[kind.wrong] != free || got[kind.wrong]+got["too_many_attempts"] != guesses {
				t.Errorf("%s: %v, want %d %s", kind.name, got, free, kind.wrong)
			}
			if n := w.failures(kind.count); n != free {
				t.Errorf("%s: %d are counted", kind.name, n)
			}
		}
	})
}

// TestRightAnswersAtOnce checks that a right answer does not make others wait, however many come at
// once, and that none stays counted.
func TestRightAnswersAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ada, bob := w.signUp("ada"), w.signUp("bob")
		w.enrolled(bob.ID)
		if got := burst(12, func(int) error {
			_, err := w.try(merchant.SignInRequest{Login: "ada", Password: password})
			return err
		}); got[""] != 12 {
			t.Errorf("sign-ins: %v", got)
		}
		if got := burst(12, func(int) error { _, err := w.RenewRecovery(t.Context(), ada.ID, password); return err }); got["totp_off"] != 12 {
			t.Errorf("password again: %v", got)
		}
		w.guessed("user:"+bob.ID, 3)
		if got := burst(12, func(int) error {
			_, err := w.try(merchant.SignInRequest{Login: "bob", Password: password})
			return err
		}); got["otp_required"] != 12 {
			t.Errorf("first steps: %v", got)
		}
		for key, want := range map[string]int{"user:" + ada.ID: 0, "again:" + ada.ID: 0, "user:" + bob.ID: 3} {
			if n := w.failures(key); n != want {
				t.Errorf("%s: %d are counted, want %d", key, n, want)
			}
		}
	})
}

// crashing is a store that fails after a guess was counted, as for a process that ends then.
type crashing struct {
	merchant.AccessStore
	counted bool
}

var errCrash = errors.New("the process has ended")

func (c *crashing) PutGuesses(ctx context.Context, key string, was, is merchant.Guesses) error {
	if c.counted {
		return errCrash
	}
	c.counted = true
	return c.AccessStore.PutGuesses(ctx, key, was, is)
}

func (c *crashing) GuardOf(context.Context, string) (merchant.Guard, error) {
	return merchant.Guard{}, errCrash
}

// TestCrashLeavesAGuessCounted ends a process between the count and the answer. The next process
// counts the guess as a failure.
func TestCrashLeavesAGuessCounted(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ada := w.signUp("ada")
		r := merchant.SignInRequest{Login: "ada", Password: password}
		for i := range 5 {
			c := w.config
			c.Access = &crashing{AccessStore: w.store}
			if _, err := merchant.New(c).SignIn(t.Context(), r, nil); !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			if n := w.failures("user:" + ada.ID); n != i+1 {
				t.Fatalf("%d are counted after %d crashes", n, i+1)
			}
		}
		_, err := w.try(r)
		w.code(err, "too_many_attempts")
		w.clock.Add(time.Second)
		_, err = w.try(r)
		w.good(err)
	})
}

// TestCodesOfOneProof checks that a proof of the password is good for five codes, however long they
// wait, and that it cannot be exchanged for another proof.
func TestCodesOfOneProof(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ada := w.signUp("ada")
		secret, _ := w.enrolled(ada.ID)
		first := func() string {
			in, err := w.try(merchant.SignInRequest{Login: "ada", Password: password, TwoSteps: true})
			w.good(err)
			return in.Proof
		}
		proof := first()
		second := func(code string) error {
			_, err := w.try(merchant.SignInRequest{Proof: proof, OTP: code, TwoSteps: true})
			return err
		}
		for range 5 {
			w.code(second("000000"), "otp_invalid")
		}
		w.code(second(w.current(secret)), "too_many_attempts")
		w.clock.Add(time.Second)
		w.code(second(w.current(secret)), "too_many_attempts") // however long it waits
		same, err := w.try(merchant.SignInRequest{Proof: proof, TwoSteps: true})
		if err != nil || same.Proof != proof {
			t.Errorf("a proof without a code: %+v, %v", same, err)
		}
		if n := w.failures("user:" + ada.ID); n != 5 {
			t.Errorf("%d are counted, but five were compared", n)
		}
		proof = first()
		w.good(second(w.current(secret)))
	})
}

// TestWrongCodesCountLikePasswords checks that wrong codes and wrong passwords of one user have one
// count, and that it does not stop a user who is signed in.
func TestWrongCodesCountLikePasswords(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ada := w.signUp("ada")
		w.enrolled(ada.ID)
		for _, r := range []merchant.SignInRequest{{Password: password, OTP: "000000"}, {Password: "wrong horse battery"},
			{Password: password, OTP: "000000"}, {Password: password, OTP: "000000"}, {Password: "wrong horse battery"}} {
			r.Login = "ada"
			if _, err := w.try(r); fault.KindOf(err) != fault.KindUnauthenticated {
				t.Fatal(err)
			}
		}
		_, err := w.try(merchant.SignInRequest{Login: "ada", Password: password, OTP: "000000"})
		w.code(err, "too_many_attempts")
		_, err = w.RenewRecovery(t.Context(), ada.ID, password)
		w.good(err)
	})
}

// TestKnownDeviceIsNotLockedOut checks that strangers' failures do not make a browser wait in which
// the user has signed in, and that its own failures do.
func TestKnownDeviceIsNotLockedOut(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ada := w.signUp("ada")
		w.signUp("bob")
		in := w.signIn("ada", merchant.Client{Browser: true})
		if in.Device == "" {
			t.Fatal("a browser is not remembered")
		}
		if program := w.signIn("ada", merchant.Client{}); program.Device != "" {
			t.Error("a program is remembered")
		}
		other := w.signIn("bob", merchant.Client{Browser: true}).Device
		try := func(device, password string) error {
			_, err := w.try(merchant.SignInRequest{Login: "ada", Password: password, Client: merchant.Client{Browser: true, Device: device}})
			return err
		}
		w.guessed("user:"+ada.ID, 20) // by strangers
		for what, device := range map[string]string{"no device": "", "another user's": other, "altered": in.Device[:len(in.Device)-4] + "AAAA",
			"a session": in.Token} {
			if err := try(device, password); fault.Code(err) != "too_many_attempts" {
				t.Errorf("%s: %v", what, err)
			}
		}
		w.good(try(in.Device, password))
		if n := w.failures("user:" + ada.ID); n != 20 {
			t.Errorf("the device's success changed the strangers' count to %d", n)
		}

		got := burst(100, func(int) error { return try(in.Device, "wrong horse battery") })
		if got["credentials_invalid"] != 5 || got["too_many_attempts"] != 95 {
			t.Errorf("guesses from the device: %v", got)
		}
		w.code(try(in.Device, password), "too_many_attempts")
		if n := w.failures("user:" + ada.ID); n != 20 {
			t.Errorf("the device's failures changed the strangers' count to %d", n)
		}
		w.clock.Add(time.Second)
		w.good(try(in.Device, password))

		w.good(w.ChangePassword(t.Context(), ada.ID, "", password, "another good password", ""))
		w.guessed("user:"+ada.ID, 20)
		w.code(try(in.Device, "another good password"), "too_many_attempts") // unknown since the change
	})
}

// TestDeviceIsForgotten checks that a browser that did not sign in for long is unknown.
func TestDeviceIsForgotten(t *testing.T) {
	w := newWorld(t, nil)
	ada := w.signUp("ada")
	client := merchant.Client{Browser: true}
	client.Device = w.signIn("ada", client).Device
	w.clock.Add(merchant.DeviceLife - time.Hour)
	w.guessed("user:"+ada.ID, 20)
	client.Device = w.signIn("ada", client).Device // known, and for long again
	w.clock.Add(merchant.DeviceLife - time.Hour)
	w.guessed("user:"+ada.ID, 20)
	w.signIn("ada", client)
	w.clock.Add(2 * time.Hour)
	w.guessed("user:"+ada.ID, 20)
	_, err := w.try(merchant.SignInRequest{Login: "ada", Password: password, Client: client})
	w.code(err, "too_many_attempts")
}
