package main

import (
	"flag"
	"fmt"
	"os"
)

// Roles: "server" serves the methods of server.go on a Unix socket until it is killed; "client" runs one case of client.go against
// our server, prints what went wrong, if anything, and exits with 1 then.
func main() {
	role := flag.String("role", "", "client or server")
	socket := flag.String("socket", "", "path of the Unix socket")
	name := flag.String("case", "", "what the client does")
	flag.Parse()

	var err error
	switch *role {
	case "server":
		err = runServer(*socket)
	case "client":
		err = runCase(*socket, *name)
	default:
		err = fmt.Errorf("unknown role %q", *role)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
