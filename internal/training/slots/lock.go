//go:build unix

package slots

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// acquire locks a slot's file for this process and whoever it hands the file to: the lock is the open file's (flock(2)),
// so it is held until the last of them has closed it or is gone, killed or not. Another worker on the same machine has
// it: nil and no error.
func acquire(folder, slot string) (*os.File, error) {
	f, err := lock(folder, slot, syscall.LOCK_EX)
	if f == nil && err == nil { // perhaps another worker only looked
		time.Sleep(2 * time.Millisecond)
		f, err = lock(folder, slot, syscall.LOCK_EX)
	}
	return f, err
}

// isHeld says whether another process holds a slot's lock. Those who look don't see one another.
func isHeld(folder, slot string) (bool, error) {
	f, err := lock(folder, slot, syscall.LOCK_SH)
	if f != nil {
		_ = f.Close()
	}
	return f == nil, err
}

func lock(folder, slot string, how int) (*os.File, error) {
	path := filepath.Join(folder, strings.ReplaceAll(slot, "/", "_")+".lock")
	f, err := openFile(path)
	if err != nil {
		return nil, fmt.Errorf("lock of slot %s: %w", slot, err)
	}
	err = syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, fmt.Errorf("lock of slot %s: %s: %w", slot, path, err)
}

// openFile opens the file, or makes it for every user. It is tried without making it first: where others may write to a
// folder, Linux refuses to make what another user has made (fs.protected_regular, see proc_sys_fs(5)). The file is never
// removed: who locked one that is gone would share the slot with who made it anew.
func openFile(path string) (*os.File, error) {
	const safe = syscall.O_NOFOLLOW | syscall.O_CLOEXEC
	for range 10 {
		f, err := os.OpenFile(path, os.O_RDONLY|safe, 0)
		if err == nil || !errors.Is(err, os.ErrNotExist) {
			return f, err
		}
		f, err = os.OpenFile(path, os.O_RDONLY|os.O_CREATE|os.O_EXCL|safe, 0o644)
		if err == nil || !errors.Is(err, os.ErrExist) {
			return f, err
		}
	}
	return nil, fmt.Errorf("%s: made and removed again and again", path)
}

// MakeFolder makes the folder of locks for all users of the machine, or finds it.
func MakeFolder(folder string) error {
	err := os.Mkdir(folder, 0o777)
	switch {
	case err == nil:
		return os.Chmod(folder, 0o777|os.ModeSticky) // whatever the umask
	case errors.Is(err, os.ErrExist):
		info, err := os.Stat(folder)
		if err == nil && !info.IsDir() {
			err = errors.New("not a folder")
		}
		return err
	case errors.Is(err, os.ErrNotExist):
		if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
			return err
		}
		return MakeFolder(folder)
	}
	return err
}
