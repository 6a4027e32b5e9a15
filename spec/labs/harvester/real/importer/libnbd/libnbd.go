// Package libnbd has the names of libguestfs.org/libnbd that CDI's importer uses to read from VMware by VDDK,
// which nobody does here: so the importer needs no C to be built.
package libnbd

import "errors"

// What a block of a disk is, and how to ask for it.
const (
	CMD_FLAG_REQ_ONE = 8
	STATE_HOLE       = 1
	STATE_ZERO       = 2
)

var errNone = errors.New("libnbd is not built in")

type (
	// CmdFlag is a flag of a request.
	CmdFlag uint32
	// PreadOptargs are not used.
	PreadOptargs struct{}
	// BlockStatusOptargs are the options of BlockStatus.
	BlockStatusOptargs struct {
		FlagsSet bool
		Flags    CmdFlag
	}
	// ExtentCallback is called for each extent.
	ExtentCallback func(context string, offset uint64, entries []uint32, err *int) int
	// LibnbdError is what went wrong.
	LibnbdError struct{}
	// Libnbd is a connection, which is never made.
	Libnbd struct{}
)

// Create fails, always.
func Create() (*Libnbd, error) { return nil, errNone }

// AddMetaContext does nothing.
func (*Libnbd) AddMetaContext(string) error { return errNone }

// ConnectUri does nothing.
func (*Libnbd) ConnectUri(string) error { return errNone }

// GetSize does nothing.
func (*Libnbd) GetSize() (uint64, error) { return 0, errNone }

// Pread does nothing.
func (*Libnbd) Pread([]byte, uint64, *PreadOptargs) error { return errNone }

// Close does nothing.
func (*Libnbd) Close() *LibnbdError { return nil }

// BlockStatus does nothing.
func (*Libnbd) BlockStatus(uint64, uint64, ExtentCallback, *BlockStatusOptargs) error { return errNone }
