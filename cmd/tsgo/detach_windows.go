package main

import (
	"os"
	"syscall"
)

// detached has a process go on without the console that it was started from.
func detached() *syscall.SysProcAttr {
	const withoutConsole = 0x8 // DETACHED_PROCESS
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP | withoutConsole}
}

// terminate ends a process: there is nothing here that asks it to.
func terminate(p *os.Process) error { return p.Kill() }
