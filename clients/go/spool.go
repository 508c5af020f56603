package notifier

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"syscall"
)

// key is an event's source and id.
type key [2]string

// spool is a file that keeps events until the service has answered for each of them, across the end of the process.
//
// Lines of JSON: an object is an event, an array is the sources and ids of events that the service has answered for. A line
// that was torn by a crash is passed over. What is written survives the end of the process at once, and that of the machine
// once the system has written it to the disk. Its methods are called under the producer's lock.
type spool struct {
	path  string
	limit int64
	lock  *os.File
	file  *os.File
	open  map[key][]byte
	order []key
	size  int64
	held  int64
}

// private is the mode of the files: events may hold personal data.
const private = 0o600

func openSpool(path string, limit int64) (*spool, error) {
	lock, err := os.OpenFile(path+".lock", os.O_WRONLY|os.O_CREATE, private)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("another producer has the spool that %s.lock locks: give each a file of its own", path)
	}
	s := &spool{path: path, limit: limit, lock: lock, open: map[key][]byte{}}
	if err := s.read(); err == nil {
		err = s.rewrite()
	}
	if err != nil || s.file == nil {
		lock.Close()
		return nil, fmt.Errorf("the spool %s can't be opened", path)
	}
	return s, nil
}

// add keeps events, or none and returns *Unavailable where there is no room for them.
func (s *spool) add(items []*item) error {
	var lines []byte
	for _, each := range items {
		lines = append(append(lines, each.envelope...), '\n')
	}
	more := int64(len(lines))
	if s.held+int64(len(s.open))+more > s.limit {
		return &Unavailable{Message: fmt.Sprintf("the spool %s is full: it has %d of %d bytes", s.path, s.held, s.limit)}
	}
	if s.size+more > s.limit {
		if err := s.rewrite(); err != nil {
			return &Unavailable{Message: fmt.Sprintf("the spool can't be written: %v", err)}
		}
	}
	if err := s.append(lines); err != nil {
		return &Unavailable{Message: fmt.Sprintf("the spool can't be written: %v", err)}
	}
	for _, each := range items {
		s.put(each.key, each.envelope)
	}
	return nil
}

// settle forgets events that the service has answered for.
func (s *spool) settle(keys []key) {
	settled := keys[:0:0]
	for _, each := range keys {
		if s.drop(each) {
			settled = append(settled, each)
		}
	}
	// Where it can't be written, they are sent once more at the next start, which is harmless.
	if len(s.open) == 0 {
		if s.file.Truncate(0) == nil {
			s.size, s.order = 0, nil
		}
	} else if len(settled) > 0 {
		line, _ := json.Marshal(settled)
		_ = s.append(append(line, '\n'))
	}
}

// keys returns the events that the service hasn't answered for, in their order.
func (s *spool) keys() []key {
	left := make([]key, 0, len(s.open))
	seen := map[key]bool{}
	for _, each := range s.order {
		if _, open := s.open[each]; open && !seen[each] {
			seen[each] = true
			left = append(left, each)
		}
	}
	s.order = append([]key(nil), left...)
	return left
}

// close leaves the file to another process.
func (s *spool) close() {
	s.file.Close()
	s.lock.Close()
}

func (s *spool) put(named key, envelope []byte) {
	s.drop(named)
	s.open[named] = envelope
	s.order = append(s.order, named)
	s.held += int64(len(envelope))
}

func (s *spool) drop(named key) bool {
	envelope, open := s.open[named]
	delete(s.open, named)
	s.held -= int64(len(envelope))
	return open
}

func (s *spool) read() error {
	content, err := os.ReadFile(s.path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	for _, line := range bytes.Split(content, []byte{'\n'}) {
		var settled []key
		var event struct{ Source, ID string }
		if json.Unmarshal(line, &settled) == nil {
			for _, each := range settled {
				s.drop(each)
			}
		} else if json.Unmarshal(line, &event) == nil && event.ID != "" {
			s.put(key{event.Source, event.ID}, append([]byte(nil), line...))
		}
	}
	return nil
}

// rewrite writes the file anew with what is open; whoever dies meanwhile leaves the one before.
func (s *spool) rewrite() error {
	file, err := os.OpenFile(s.path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, private)
	if err != nil {
		return err
	}
	before := s.file
	s.file, s.size = file, 0
	var lines []byte
	for _, each := range s.keys() {
		lines = append(append(lines, s.open[each]...), '\n')
	}
	if err := s.append(lines); err != nil {
		return err
	}
	if err := os.Rename(s.path+".new", s.path); err != nil {
		return err
	}
	if before != nil {
		before.Close()
	}
	return nil
}

func (s *spool) append(lines []byte) error {
	if _, err := s.file.WriteAt(lines, s.size); err != nil {
		_ = s.file.Truncate(s.size) // half a line would spoil the next one
		return err
	}
	s.size += int64(len(lines))
	return nil
}
