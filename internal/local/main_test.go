package local_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"testing"
	"time"

	"github.com/leanloop/leanloop/internal/local"
	"github.com/leanloop/leanloop/internal/parent"
)

// childMode makes the test binary one of the programs that the tests run.
const childMode = "LOCAL_TEST_CHILD"

func TestMain(m *testing.M) {
	mode := os.Getenv(childMode)
	if mode == "" {
		os.Exit(m.Run())
	}
	if err := child(mode, os.Args[len(os.Args)-1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
}

// child is a program: argument is an address, or whatever else its mode needs.
func child(mode, argument string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := parent.Watch(ctx)
	defer cancel()
	switch mode {
	case "serve": // healthy until it is asked to end or its parent is gone
		s := &http.Server{Addr: argument, ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })}
		go func() { _ = s.ListenAndServe() }()
		<-ctx.Done()
		fmt.Println("stopping")
		return s.Close()
	case "stubborn": // neither a signal nor the end of its parent ends it
		signal.Ignore(os.Interrupt)
		s := &http.Server{Addr: argument, ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })}
		return s.ListenAndServe()
	case "fail":
		return fmt.Errorf("no such bucket: %s", argument)
	case "sick": // alive, never ready
		<-ctx.Done()
		return nil
	case "starter": // starts a program that must not outlive it
		self, err := os.Executable()
		if err != nil {
			return err
		}
		p, err := local.Start(context.Background(), local.Command{
			Name: "served", Path: self, Args: []string{argument}, Env: []string{childMode + "=serve"}, Log: os.DevNull, Health: "http://" + argument,
		})
		if err != nil {
			return err
		}
		fmt.Println("started", p.Pid())
		_, err = io.Copy(io.Discard, os.Stdin)
		return err
	}
	return fmt.Errorf("unknown mode %s", mode)
}
