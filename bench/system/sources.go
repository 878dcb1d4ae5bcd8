package system

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// MaxSources is the most addresses that ParseSources takes: some 28,000 connections
// to one port of a server can come from each.
const MaxSources = 1024

// ParseSources reads local addresses to connect from: a list by commas of addresses
// and of ranges of their last number, "127.0.0.2-9,::1". Each must be an address of
// this machine, of which 127.0.0.1 to 127.255.255.254 all are. None is nil.
func ParseSources(text string) ([]net.IP, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	list, err := parseSources(text)
	if err != nil {
		return nil, err
	}
	local, err := localAddresses()
	if err != nil {
		return nil, err
	}
	ips := make([]net.IP, len(list))
	for i, ip := range list {
		if !ip.IsLoopback() && !slices.Contains(local, ip) {
			return nil, fmt.Errorf("%v is no address of this machine", ip)
		}
		ips[i] = ip.AsSlice()
	}
	return ips, nil
}

func parseSources(text string) (list []netip.Addr, err error) {
	for part := range strings.SplitSeq(text, ",") {
		first, last, err := parseRange(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		for ip := first; ; ip = ip.Next() {
			if slices.Contains(list, ip) {
				return nil, fmt.Errorf("%v is there twice", ip)
			}
			if list = append(list, ip); len(list) > MaxSources {
				return nil, fmt.Errorf("more than %d addresses", MaxSources)
			}
			if ip == last {
				break
			}
		}
	}
	return list, nil
}

var errLastNumber = errors.New("the end of a range is the last number of an IPv4 address, not below the first, as in 127.0.0.2-9")

// parseRange reads one address, or the first of a range and the last number of its
// last.
func parseRange(text string) (first, last netip.Addr, err error) {
	low, high, ranged := strings.Cut(text, "-")
	if first, err = netip.ParseAddr(low); err != nil {
		return first, last, fmt.Errorf("%q is no address", low)
	}
	first = first.Unmap()
	if !ranged {
		return first, first, nil
	}
	number, err := strconv.ParseUint(high, 10, 8)
	if err != nil || !first.Is4() {
		return first, last, fmt.Errorf("%q: %w", text, errLastNumber)
	}
	bytes := first.As4()
	if uint64(bytes[3]) > number {
		return first, last, fmt.Errorf("%q: %w", text, errLastNumber)
	}
	bytes[3] = byte(number)
	return first, netip.AddrFrom4(bytes), nil
}

func localAddresses() (list []netip.Addr, err error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list the addresses of this machine: %w", err)
	}
	for _, addr := range addrs {
		if prefix, err := netip.ParsePrefix(addr.String()); err == nil {
			list = append(list, prefix.Addr().Unmap())
		}
	}
	return list, nil
}
