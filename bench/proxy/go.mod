module ostree-go.example/bench/proxy

go 1.24
