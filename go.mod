module github.com/leanloop/leanloop

go 1.26.0
