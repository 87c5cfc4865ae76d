// Looks names up with Go's own resolver: resolve NAME..., a line each.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
)

func main() {
	resolver := &net.Resolver{PreferGo: true}
	for _, name := range os.Args[1:] {
		for _, network := range []string{"ip", "ip6"} {
			found, err := resolver.LookupNetIP(context.Background(), network, name)
			var failure *net.DNSError
			switch {
			case errors.As(err, &failure) && failure.IsNotFound:
				fmt.Println(name, "none")
			case err != nil:
				fmt.Println(name, err)
			default:
				fmt.Print(name)
				for _, address := range found {
					fmt.Print(" ", address.Unmap())
				}
				fmt.Println()
			}
		}
	}
}
