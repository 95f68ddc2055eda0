// Command escape tries to leave a sandbox, and prints a line for each attempt: its name, and `denied` or what it reached.
//
// Arguments are NAME=VALUE: source, sdk, home and shm are directories outside, secret is a file of another user, port is a TCP
// port on the loopback interface of the host, abstract is an abstract Unix socket, unix is a Unix socket with a path, pid is a
// process outside.
package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

var args = map[string]string{}

func say(name string, err error) {
	if err != nil {
		fmt.Printf("%s: denied\n", name)
		if args["why"] != "" {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		}
		return
	}
	fmt.Printf("%s: REACHED\n", name)
}

func write(name, dir string) {
	say(name, os.WriteFile(filepath.Join(dir, "escaped"), []byte("x"), 0o666))
}

func dial(name, network, address string) {
	conn, err := net.DialTimeout(network, address, 2*time.Second)
	if err != nil {
		say(name, err)
		return
	}
	defer conn.Close()
	conn.Write([]byte("escaped"))
	if network == "udp" {
		// A datagram that nobody receives is no escape: the test looks at its socket.
		fmt.Printf("%s: sent\n", name)
		return
	}
	say(name, nil)
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "daemon" {
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			os.WriteFile(os.Args[2], []byte("alive"), 0o666)
		}
		return
	}
	for _, arg := range os.Args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		args[name] = value
	}
	write("write to the source", args["source"])
	write("write to the SDK", args["sdk"])
	write("write to the home directory", args["home"])
	write("write to /dev/shm of the host", args["shm"])
	say("change the mode of a source file", os.Chmod(filepath.Join(args["source"], "go.mod"), 0o777))
	_, err := os.ReadFile(filepath.Join(args["home"], "secret"))
	say("read a file in the home directory", err)
	_, err = os.ReadFile(args["secret"])
	say("read a file of another user", err)
	_, err = os.ReadDir(args["home"])
	say("list the home directory", err)
	dial("connect by TCP", "tcp", "127.0.0.1:"+args["port"])
	dial("send by UDP", "udp", "127.0.0.1:"+args["port"])
	dial("connect to an abstract socket", "unix", "@"+args["abstract"])
	dial("connect to a Unix socket", "unix", args["unix"])
	pid, _ := strconv.Atoi(args["pid"])
	say("signal a process outside", syscall.Kill(pid, 0))
	say("trace a process outside", attach(pid))
	say("limit a process outside", limit(pid))
	_, err = os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	say("read the environment of a process outside", err)
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err == nil && !bytes.Contains(command, []byte("sleep")) {
		err = fmt.Errorf("another process")
	}
	say("read the command line of a process outside", err)
	secret := fmt.Errorf("not set")
	if strings.Contains(strings.Join(os.Environ(), "\n"), "hunter2") {
		secret = nil
	}
	say("read a credential in the environment", secret)
	say("put characters into the terminal", inject())
	// Only on a directory of its own: where this succeeds, the machine must not be harmed.
	point, _ := os.MkdirTemp("", "mount")
	say("mount a file system", syscall.Mount("none", point, "tmpfs", 0, ""))
	say("make a device", syscall.Mknod(filepath.Join(os.TempDir(), "disk"), syscall.S_IFBLK|0o600, 8<<8))
	if args["daemon"] != "" {
		own, _ := os.Executable()
		daemon := exec.Command(own, "daemon", args["daemon"])
		daemon.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := daemon.Start(); err != nil {
			fmt.Println("daemon:", err)
		}
		for range 100 {
			if _, err := os.Stat(args["daemon"]); err == nil {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

func attach(pid int) error {
	err := syscall.PtraceAttach(pid)
	if err == nil {
		syscall.PtraceDetach(pid)
	}
	return err
}

// limit sets the limit of core files of another process, by prlimit64.
func limit(pid int) error {
	old := [2]uint64{}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_CORE, 0, uintptr(unsafe.Pointer(&old)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// inject asks for TIOCSTI on the controlling terminal and on the standard streams.
func inject() error {
	char := byte('x')
	var last error = fmt.Errorf("no terminal")
	files := []*os.File{os.Stdin, os.Stdout, os.Stderr}
	if terminal, err := os.OpenFile("/dev/tty", os.O_RDWR, 0); err == nil {
		files = append(files, terminal)
	}
	for _, file := range files {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), 0x5412, uintptr(unsafe.Pointer(&char)))
		if errno == 0 {
			return nil
		}
		last = errno
	}
	return last
}
