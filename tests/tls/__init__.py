"""Parts of others that speak TLS: `make test-tls`."""
