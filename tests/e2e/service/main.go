// A service that tries what a hardened unit has to deny, and answers requests with what was allowed.
package main

import (
	"encoding/json"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"unsafe"
)

var allowed []string

func try(what string, err error) {
	if err == nil {
		allowed = append(allowed, what)
	}
}

func write(path string) error {
	return os.WriteFile(path, []byte("x"), 0o755)
}

// memfd creates a file in memory, which could be executed.
func memfd() error {
	number := map[string]uintptr{"amd64": 319, "arm64": 279}[runtime.GOARCH]
	name := []byte("x\x00")
	_, _, errno := syscall.Syscall(number, uintptr(unsafe.Pointer(&name[0])), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// protect makes memory that was written executable.
func protect() error {
	const anonymous = syscall.MAP_ANON | syscall.MAP_PRIVATE
	memory, err := syscall.Mmap(-1, 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE, anonymous)
	if err != nil {
		return err
	}
	return syscall.Mprotect(memory, syscall.PROT_READ|syscall.PROT_EXEC)
}

func listen(network, address string) error {
	listener, err := net.Listen(network, address)
	if err == nil {
		listener.Close()
	}
	return err
}

func tryAll() {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		panic(err)
	}
	for _, folder := range []string{"/etc", "/usr", "/var/lib", "/root", "/run", filepath.Dir(self)} {
		try("write to "+folder, write(folder+"/written"))
	}
	try("write to the program", write(self))
	folders := []string{"/tmp", "/var/tmp"}
	if state := os.Getenv("STATE_DIRECTORY"); state != "" {
		try("write to the state", write(state+"/written"))
		folders = append(folders, state)
	}
	try("execute /bin/true", exec.Command("/bin/true").Run())
	for _, folder := range folders {
		copied := folder + "/copy"
		if err := os.WriteFile(copied, program, 0o755); err == nil {
			try("execute in "+filepath.Base(folder), exec.Command(copied, "child").Run())
		}
	}
	const anonymous = syscall.MAP_ANON | syscall.MAP_PRIVATE
	const all = syscall.PROT_READ | syscall.PROT_WRITE | syscall.PROT_EXEC
	_, err = syscall.Mmap(-1, 0, 4096, all, anonymous)
	try("map memory that is writable and executable", err)
	try("make memory executable", protect())
	try("create a file in memory", memfd())
	try("listen for pprof", listen("tcp", "127.0.0.1:6060"))
	try("listen on another port", listen("tcp", "127.0.0.1:0"))
	_, err = os.ReadFile("/proc/1/environ")
	try("read the environment of another process", err)
	_, err = syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW, 0)
	try("open a packet socket", err)
	try("become root", syscall.Setuid(0))
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "child" {
		return
	}
	tryAll()
	var listener net.Listener
	var err error
	if os.Getenv("LISTEN_FDS") != "" {
		listener, err = net.FileListener(os.NewFile(3, "listener"))
	} else {
		listener, err = net.Listen("tcp", ":8080")
	}
	answer := map[string]any{"allowed": allowed, "memory": os.Getenv("GOMEMLIMIT"), "root": os.Getuid() == 0}
	if err != nil {
		json.NewEncoder(os.Stdout).Encode(answer)
		return
	}
	answer["address"] = listener.Addr().String()
	http.HandleFunc("/", func(response http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(response).Encode(answer)
	})
	panic(http.Serve(listener, nil))
}
