module mintmark.invalid/tls-server

go 1.24
