// Package auth has the keys by which a server knows its callers: made, kept in TorchServe's file, checked, and made anew.
// It knows no protocol. What a server proves itself with is in package certificate, below it.
package auth

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Scope is what a key is for.
type Scope string

// The keys there are. Their names stand in the key file.
const (
	Management Scope = "management" // for the management API
	Inference  Scope = "inference"  // for the inference API
	API        Scope = "API"        // for making one of the other two anew; it never expires
)

// The defaults of [Options], which are TorchServe's.
const (
	DefaultFile = "key_file.json"
	DefaultLife = time.Hour
)

// Options say where keys are kept and how long they hold.
type Options struct {
	Path string           // of the key file; "": DefaultFile in the working directory
	Life time.Duration    // of the management and the inference key; 0: DefaultLife
	Now  func() time.Time // nil: time.Now
}

// Keys are the three keys of a server. They are safe for concurrent use.
type Keys struct {
	path string
	life time.Duration
	now  func() time.Time

	current atomic.Pointer[set]
	mu      sync.Mutex // held while keys are made anew; guards written
	written []byte     // what the key file holds as far as we know
}

// set is the three keys of one moment. It does not change.
type set struct {
	Management key `json:"management"`
	Inference  key `json:"inference"`
	API        key `json:"API"`
}

// key is one key as it stands in the key file.
type key struct {
	Key        string     `json:"key"`
	Expiration *time.Time `json:"expiration time,omitempty"` // nil: never

	sum [sha256.Size]byte // of Key
}

// New makes three keys and writes them to the key file, in the place of what is there. Nobody but the user of this process
// can read the file, from the moment it exists. It returns [fault.Invalid] where the file cannot be written.
func New(opts Options) (*Keys, error) {
	if opts.Path == "" {
		opts.Path = DefaultFile
	}
	if opts.Life <= 0 {
		opts.Life = DefaultLife
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	path, err := filepath.Abs(opts.Path)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w: %w", opts.Path, fault.Invalid, err)
	}
	k := &Keys{path: path, life: opts.Life, now: opts.Now}
	if err := k.replace(set{Management: k.lasting(), Inference: k.lasting(), API: random(nil)}); err != nil {
		return nil, fmt.Errorf("%w: %w", fault.Invalid, err)
	}
	return k, nil
}

// Path returns where the key file is.
func (k *Keys) Path() string { return k.path }

// Refresh makes the management or the inference key anew and writes it to the key file. The old one holds no longer. It
// returns [fault.Invalid] for another scope, and [fault.Unavailable] where the file cannot be written: then the old one
// holds on.
func (k *Keys) Refresh(scope Scope) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	next := *k.current.Load()
	switch scope {
	case Management:
		next.Management = k.lasting()
	case Inference:
		next.Inference = k.lasting()
	case API:
		return fmt.Errorf("%w: the API key is made anew when the server starts; want management or inference", fault.Invalid)
	default:
		return fmt.Errorf("%w: type %.50q: want management or inference", fault.Invalid, string(scope))
	}
	if err := k.write(next); err != nil {
		return fmt.Errorf("make the %s key anew: %w: %w", scope, fault.Unavailable, err)
	}
	return nil
}

// Check tells whether a caller has the key for a scope. It is given the caller's Authorization headers, of which it wants
// one, "Bearer KEY". It returns [fault.Unauthorized] and why: for the server's log, as a caller need not know. No message
// repeats what was given.
func (k *Keys) Check(scope Scope, authorization []string) error {
	switch len(authorization) {
	case 0:
		return refuse("no key was given")
	case 1:
	default:
		return refuse("more than one Authorization was given")
	}
	scheme, given, found := strings.Cut(strings.TrimSpace(authorization[0]), " ")
	given = strings.TrimSpace(given)
	if !found || !strings.EqualFold(scheme, "Bearer") || given == "" || strings.ContainsAny(given, " \t") {
		return refuse("the Authorization that was given is none: want Bearer and the key")
	}
	return k.check(scope, given)
}

// check compares what was given with every key, by their hashes: how long it takes tells nothing of them.
func (k *Keys) check(scope Scope, given string) error {
	current := k.current.Load()
	sum, owner, matched := sha256.Sum256([]byte(given)), Scope(""), key{}
	for _, candidate := range []struct {
		scope Scope
		key   key
	}{{Management, current.Management}, {Inference, current.Inference}, {API, current.API}} {
		if subtle.ConstantTimeCompare(candidate.key.sum[:], sum[:]) == 1 {
			owner, matched = candidate.scope, candidate.key
		}
	}
	switch {
	case owner == "":
		return refuse("the key is wrong, or was made anew since")
	case owner != scope:
		return refuse(fmt.Sprintf("the %s key was given, and the %s key is wanted", owner, scope))
	case matched.Expiration != nil && !k.now().Before(*matched.Expiration):
		return refuse(fmt.Sprintf("the %s key expired at %s; /token?type=%s makes it anew", owner, matched.Expiration.Format(time.RFC3339), owner))
	}
	return nil
}

func refuse(why string) error { return fmt.Errorf("%w: %s", fault.Unauthorized, why) }

// Close removes the key file, if it is still the one that k wrote.
func (k *Keys) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	text, err := os.ReadFile(k.path)
	if err == nil && bytes.Equal(text, k.written) {
		err = os.Remove(k.path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the key file: %w", err)
	}
	return nil
}

// lasting returns a new key that expires.
func (k *Keys) lasting() key {
	until := k.now().Add(k.life).UTC().Round(0) // by the clock that whoever reads the file has
	return random(&until)
}

// random returns a new key, of 256 bits.
func random(until *time.Time) key {
	var bits [32]byte
	_, _ = rand.Read(bits[:]) // never fails
	text := base64.RawURLEncoding.EncodeToString(bits[:])
	return key{Key: text, Expiration: until, sum: sha256.Sum256([]byte(text))}
}

func (k *Keys) replace(next set) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.write(next)
}

// write makes next the keys that hold, once they are in the key file. The file is whole or as it was before.
func (k *Keys) write(next set) error {
	text, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the keys: %w", err)
	}
	file, err := os.CreateTemp(filepath.Dir(k.path), "."+filepath.Base(k.path)+"-*") // of mode 0600
	if err != nil {
		return fmt.Errorf("write the key file: %w", err)
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), k.path)
	}
	if err != nil {
		return fmt.Errorf("write the key file: %w", errors.Join(err, os.Remove(file.Name())))
	}
	k.written = text
	k.current.Store(&next)
	return nil
}
