module github.com/notifier/notifier/clients/go

go 1.19
