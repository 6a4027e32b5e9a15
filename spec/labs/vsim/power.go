package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

var powerStates = map[string]types.VirtualMachinePowerState{
	"off":       types.VirtualMachinePowerStatePoweredOff,
	"on":        types.VirtualMachinePowerStatePoweredOn,
	"suspended": types.VirtualMachinePowerStateSuspended,
}

type toolsState struct {
	running, version string
	status           types.VirtualMachineToolsStatus
}

var toolsStates = map[string]*toolsState{
	"running": {"guestToolsRunning", "guestToolsUnmanaged",
		types.VirtualMachineToolsStatusToolsOk},
	"notRunning": {"guestToolsNotRunning", "guestToolsUnmanaged",
		types.VirtualMachineToolsStatusToolsNotRunning},
	"notInstalled": {"guestToolsNotRunning", "guestToolsNotInstalled",
		types.VirtualMachineToolsStatusToolsNotInstalled},
}

var disabledMethods = map[types.VirtualMachinePowerState][]string{
	types.VirtualMachinePowerStatePoweredOff: {"MakePrimaryVM_Task", "PowerOffVM_Task",
		"SuspendVM_Task", "ResetVM_Task", "RebootGuest", "ShutdownGuest", "StandbyGuest"},
	types.VirtualMachinePowerStatePoweredOn: {"MakePrimaryVM_Task", "PowerOnVM_Task",
		"UnregisterVM", "Destroy_Task", "ExportVm"},
	types.VirtualMachinePowerStateSuspended: {"MakePrimaryVM_Task", "SuspendVM_Task",
		"ResetVM_Task", "RebootGuest", "ShutdownGuest", "StandbyGuest", "ExportVm"},
}

// What a held lease disables besides.
var leasedMethods = []string{"PowerOnVM_Task", "Destroy_Task", "MigrateVM_Task",
	"RelocateVM_Task", "ReconfigVM_Task", "ExportVm", "UnregisterVM"}

// subject is the machine that a call to ref is about, nil if it is about none.
func (s *server) subject(ref types.ManagedObjectReference) *machine {
	for _, m := range s.machines {
		if m.vm.Self == ref {
			return m
		}
	}
	if l := s.leaseByReference(ref); l != nil {
		return l.machine
	}
	return nil
}

// machineOf is the VM a call is for, or nil after answering NotFound.
func (s *server) machineOf(c *call) *machine {
	for _, m := range s.machines {
		if m.vm.Self == c.method.This {
			return m
		}
	}
	writeFault(c.w, notFound(c.method.This))
	return nil
}

func (m *machine) setShutdown(value interface{}) error {
	switch v := value.(type) {
	case nil:
		m.ownTime = false
	case string:
		if v != "never" {
			return fmt.Errorf("shutdown %q is not never or seconds", v)
		}
		m.shutdown, m.ownTime = -1, true
	case float64:
		m.shutdown, m.ownTime = v, true
	default:
		return fmt.Errorf("shutdown is not never or seconds")
	}
	return nil
}

// guestFamily is what the tools say of the system they run in.
func guestFamily(id string) string {
	switch {
	case strings.HasPrefix(id, "win"):
		return "windowsGuest"
	case strings.Contains(strings.ToLower(id), "linux"), strings.HasPrefix(id, "debian"),
		strings.HasPrefix(id, "ubuntu"), strings.HasPrefix(id, "rhel"):
		return "linuxGuest"
	}
	return ""
}

// applyPower writes a power state and all that depends on it. The world is locked.
func (s *server) applyPower(world *simulator.Registry, m *machine,
	state types.VirtualMachinePowerState) {
	s.mu.Lock()
	installed, leased := m.tools, m.leased
	if is := m.vm.Runtime.PowerState; is != state && is != "" && len(m.journal) > 0 {
		s.livesOn(world, m, state)
	}
	s.mu.Unlock()
	tools := toolsStates["notRunning"]
	if state == types.VirtualMachinePowerStatePoweredOn || installed == "notInstalled" {
		tools = toolsStates[installed]
	}
	guest := *m.vm.Guest
	guest.ToolsRunningStatus, guest.ToolsStatus = tools.running, tools.status
	guest.ToolsVersionStatus2 = tools.version
	guest.GuestState, guest.HostName, guest.GuestId = "notRunning", "", ""
	guest.GuestFamily = ""
	if tools.running == "guestToolsRunning" {
		guest.GuestState, guest.HostName = "running", m.spec.Hostname
		guest.GuestId, guest.GuestFullName = m.spec.GuestID, m.spec.GuestName
		guest.GuestFamily = guestFamily(m.spec.GuestID)
	}
	summary := *m.vm.Summary.Guest
	summary.ToolsRunningStatus, summary.ToolsStatus = tools.running, tools.status
	summary.HostName = guest.HostName
	disabled := disabledMethods[state]
	if leased != nil {
		disabled = append(append([]string(nil), disabled...), leasedMethods...)
	}
	update(world, m.vm, []types.PropertyChange{
		{Name: "runtime.powerState", Val: state},
		{Name: "summary.runtime.powerState", Val: state},
		{Name: "guest", Val: guest},
		{Name: "summary.guest", Val: summary},
	})
	world.WithLock(m.vm, func() { m.vm.DisabledMethod = disabled })
}

func (s *server) setPower(m *machine, state types.VirtualMachinePowerState) {
	s.inWorld(func(world *simulator.Registry) { s.applyPower(world, m, state) })
}

// refresh writes what depends on tools and lease.
func (s *server) refresh(m *machine) {
	s.inWorld(func(world *simulator.Registry) {
		s.applyPower(world, m, m.vm.Runtime.PowerState)
	})
}

func (s *server) powerOf(m *machine) types.VirtualMachinePowerState {
	s.world.Lock()
	defer s.world.Unlock()
	return m.vm.Runtime.PowerState
}

func (s *server) powerOff(c *call) {
	if m := s.machineOf(c); m != nil {
		s.startTask(c, m, "powerOff", types.VirtualMachinePowerStatePoweredOff)
	}
}

func (s *server) powerOn(c *call) {
	m := s.machineOf(c)
	if m == nil {
		return
	}
	if s.held(m) {
		writeFault(c.w, taskInProgress)
		return
	}
	s.startTask(c, m, "powerOn", types.VirtualMachinePowerStatePoweredOn)
}

// startTask answers with a task that ends later.
func (s *server) startTask(c *call, m *machine, name string,
	state types.VirtualMachinePowerState) {
	rule := s.match(occasion{on: "task", machine: m})
	set := s.current()
	var task *simulator.Task
	s.inWorld(func(world *simulator.Registry) {
		task = simulator.CreateTask(m.vm, name, nil)
	})
	writeResult(c.w, c.method.Name, reference("returnval", task.Self))
	go func() {
		time.Sleep(seconds(set.TaskTime / 2))
		s.inWorld(func(world *simulator.Registry) {
			update(world, task, []types.PropertyChange{
				{Name: "info.state", Val: types.TaskInfoStateRunning},
				{Name: "info.startTime", Val: time.Now()},
				{Name: "info.progress", Val: int32(50)}})
		})
		time.Sleep(seconds(set.TaskTime / 2))
		if rule != nil {
			time.Sleep(seconds(rule.Seconds))
		}
		s.inWorld(func(world *simulator.Registry) { s.endTask(world, m, task, state, rule) })
	}()
}

func (s *server) endTask(world *simulator.Registry, m *machine, task *simulator.Task,
	state types.VirtualMachinePowerState, rule *rule) {
	is := m.vm.Runtime.PowerState
	var fault *types.LocalizedMethodFault
	switch {
	case rule != nil && rule.Do == "fault":
		fault = &types.LocalizedMethodFault{Fault: faultNamed(rule.Fault),
			LocalizedMessage: rule.Message}
	case is == state:
		fault = &types.LocalizedMethodFault{
			Fault:            &types.InvalidPowerState{RequestedState: state, ExistingState: is},
			LocalizedMessage: invalidPowerState(state, is).message}
	default:
		s.applyPower(world, m, state)
	}
	end := types.TaskInfoStateSuccess
	changes := []types.PropertyChange{{Name: "info.completeTime", Val: time.Now()}}
	if fault != nil {
		end = types.TaskInfoStateError
		changes = append(changes, types.PropertyChange{Name: "info.error", Val: *fault})
	}
	update(world, task, append(changes, types.PropertyChange{Name: "info.state", Val: end}))
}

func (s *server) shutdownGuest(c *call) {
	m := s.machineOf(c)
	if m == nil {
		return
	}
	is := s.powerOf(m)
	s.mu.Lock()
	tools, after := m.tools, s.settings.ShutdownTime
	if m.ownTime {
		after = m.shutdown
	}
	s.mu.Unlock()
	if is != types.VirtualMachinePowerStatePoweredOn {
		writeFault(c.w, invalidPowerState(types.VirtualMachinePowerStatePoweredOn, is))
		return
	}
	if tools != "running" {
		writeFault(c.w, toolsUnavailable)
		return
	}
	writeResult(c.w, c.method.Name, "")
	if after >= 0 {
		time.AfterFunc(seconds(after), func() {
			s.setPower(m, types.VirtualMachinePowerStatePoweredOff)
		})
	}
}

func (s *server) destroy(c *call) {
	if c.method.This.Type != "VirtualMachine" {
		s.forward(c).copyTo(c.w)
		return
	}
	s.whileNotLeased(c)
}

func (s *server) whileNotLeased(c *call) {
	m := s.machineOf(c)
	if m == nil {
		return
	}
	if s.held(m) {
		writeFault(c.w, taskInProgress)
		return
	}
	s.forward(c).copyTo(c.w)
}
