// A TLS server of Go's own crypto/tls that wants a client certificate and says what it thinks of it: to a client whose
// certificate it verified it answers "accepted SERIALNUMBER" (hexadecimal) and a newline; why it refused another is a line
// on standard output, after the first, which is the port. It ends when its standard input does.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strings"
	"time"
)

func main() {
	certificate := flag.String("certificate", "", "the server's certificate and its issuer's, PEM")
	key := flag.String("key", "", "the server's private key, PEM")
	root := flag.String("root", "", "the root that clients' certificates must lead to, PEM")
	flag.Parse()

	pair, err := tls.LoadX509KeyPair(*certificate, *key)
	if err != nil {
		log.Fatal(err)
	}
	pem, err := os.ReadFile(*root)
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		log.Fatal("no root certificate")
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    roots,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(connection.(*tls.Conn))
	}
}

func serve(connection *tls.Conn) {
	defer connection.Close()
	// A client that goes silent is not waited for.
	_ = connection.SetDeadline(time.Now().Add(30 * time.Second))
	if err := connection.Handshake(); err != nil {
		fmt.Println("refused " + strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	fmt.Fprintf(connection, "accepted %032X\n", connection.ConnectionState().PeerCertificates[0].SerialNumber)
}
