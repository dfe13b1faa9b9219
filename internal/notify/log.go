package notify

import (
	"context"
	"log/slog"
)

// Log writes messages to a logger. It is always there: what Slack can't say, the log has said.
type Log struct{ logger *slog.Logger }

// NewLog writes to logger.
func NewLog(logger *slog.Logger) *Log { return &Log{logger: logger} }

// Notify writes one record. It fails only for a message that no provider would take.
func (l *Log) Notify(ctx context.Context, m Message) (Ref, error) {
	if err := m.Validate(); err != nil {
		return Ref{}, err
	}
	l.write(ctx, m, "notify")
	return Ref{Provider: "log", ID: m.Key}, nil
}

// Update writes another record: a log isn't rewritten.
func (l *Log) Update(ctx context.Context, ref Ref, m Message) error {
	if err := m.Validate(); err != nil {
		return err
	}
	if ref.ID == "" {
		return ErrNoRef
	}
	l.write(ctx, m, "notify update")
	return nil
}

func (l *Log) write(ctx context.Context, m Message, event string) {
	level := slog.LevelInfo
	switch m.Severity {
	case Warning:
		level = slog.LevelWarn
	case Failure:
		level = slog.LevelError
	}
	attrs := []slog.Attr{slog.String("key", m.Key), slog.String("model", m.Model), slog.String("title", m.Title)}
	for _, o := range []struct{ name, value string }{{"lifecycle", m.Lifecycle}, {"text", m.Text}} {
		if o.value != "" {
			attrs = append(attrs, slog.String(o.name, o.value))
		}
	}
	for _, f := range m.Fields {
		attrs = append(attrs, slog.String("field."+f.Name, f.Value))
	}
	for _, link := range m.Links {
		attrs = append(attrs, slog.String("link."+link.Text, link.URL))
	}
	l.logger.LogAttrs(ctx, level, event, attrs...)
}
