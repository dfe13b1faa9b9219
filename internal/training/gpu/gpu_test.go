package gpu

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	first  = "GPU-11111111-1111-1111-1111-111111111111"
	second = "GPU-22222222-2222-2222-2222-222222222222"
	slice1 = "MIG-aaaaaaaa-1111-1111-1111-111111111111"
	slice2 = "MIG-GPU-22222222-2222-2222-2222-222222222222/1/0"
)

// mock is an nvidia-smi: a script that answers by its first argument.
func mock(t *testing.T, script string) SMI {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nvidia-smi")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700))
	return SMI{Program: path}
}

// answers is a mock that prints lines.
func answers(t *testing.T, lines ...string) SMI {
	t.Helper()
	return mock(t, "cat <<'END'\n"+strings.Join(lines, "\n")+"\nEND\n")
}

func TestGPUsAreFoundWithTheirMemory(t *testing.T) {
	found, err := answers(t, "0, "+first+", NVIDIA A100-SXM4-80GB, 81920, Disabled", "1, "+second+", Tesla T4, 15360, [N/A]").Devices(t.Context())
	require.NoError(t, err)
	require.Equal(t, []Device{
		{ID: first, Index: 0, Name: "NVIDIA A100-SXM4-80GB", Memory: 80 << 30},
		{ID: second, Index: 1, Name: "Tesla T4", Memory: 15 << 30},
	}, found)
}

func TestAGPUThatIsSplitIsItsInstances(t *testing.T) {
	smi := mock(t, `if [ "$1" = -L ]; then cat <<'END'
GPU 0: NVIDIA A100-SXM4-40GB (UUID: `+first+`)
  MIG 1g.5gb      Device  0: (UUID: `+slice1+`)
  MIG 3g.20gb+me  Device  1: (UUID: `+slice2+`)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: `+second+`)
END
else cat <<'END'
0, `+first+`, NVIDIA A100-SXM4-40GB, 40960, Enabled
1, `+second+`, NVIDIA A100-SXM4-40GB, 40960, Disabled
END
fi`)
	found, err := smi.Devices(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{slice1, slice2, second}, IDs(found))
	require.Equal(t, int64(5<<30), found[0].Memory)
	require.Equal(t, int64(20<<30), found[1].Memory)
	require.True(t, found[0].MIG)
	samples, err := smi.Samples(t.Context(), found[:2])
	require.NoError(t, err)
	require.Empty(t, samples, "what can't be measured isn't asked for")
}

func TestWithoutAGPUThereIsNone(t *testing.T) {
	_, err := SMI{Program: "no-such-nvidia-smi"}.Devices(t.Context())
	require.ErrorIs(t, err, ErrNoProgram)
	for name, script := range map[string]string{
		"it says so, exit 0":    "echo No devices were found",
		"it says so, exit 6":    "echo No devices were found.; exit 6",
		"it prints no line":     ":",
		"it warns and has none": "echo 'warning: infoROM is corrupted' >&2",
	} {
		found, err := mock(t, script).Devices(t.Context())
		require.NoError(t, err, name)
		require.Empty(t, found, name)
	}
}

func TestOutputThatIsntWhatWasAskedForIsAnError(t *testing.T) {
	good := "0, " + first + ", Tesla T4, 15360, Disabled"
	for name, lines := range map[string][]string{
		"a line too short":            {"0, " + first + ", Tesla T4, 15360"},
		"a message among the lines":   {good, "Unable to determine the device handle for GPU0000:02:00.0: Unknown Error"},
		"no index":                    {"zero, " + first + ", Tesla T4, 15360, Disabled"},
		"an index below zero":         {"-1, " + first + ", Tesla T4, 15360, Disabled"},
		"no UUID":                     {"0, Tesla, Tesla T4, 15360, Disabled"},
		"a UUID that is a path":       {"0, GPU-../../../etc/passwd, Tesla T4, 15360, Disabled"},
		"a UUID twice":                {good, "1, " + first + ", Tesla T4, 15360, Disabled"},
		"memory with its unit":        {"0, " + first + ", Tesla T4, 15360 MiB, Disabled"},
		"memory below zero":           {"0, " + first + ", Tesla T4, -1, Disabled"},
		"a mode that nobody knows":    {"0, " + first + ", Tesla T4, 15360, Maybe"},
		"bytes that are no text":      {"\x00\x01\x02\xff"},
		"a GPU that fell off the bus": {"[GPU is lost]"},
	} {
		found, err := answers(t, lines...).Devices(t.Context())
		require.Error(t, err, name)
		require.Empty(t, found, name)
	}
	_, err := mock(t, "echo \"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver\"; exit 9").Devices(t.Context())
	require.ErrorContains(t, err, "exit status 9: NVIDIA-SMI has failed because")
	_, err = mock(t, "head -c 2000000 /dev/zero").Devices(t.Context())
	require.ErrorContains(t, err, "more than 1048576 bytes")
	split := mock(t, `if [ "$1" = -L ]; then echo garbage; else echo '0, `+first+`, A100, 40960, Enabled'; fi`)
	_, err = split.Devices(t.Context())
	require.ErrorContains(t, err, `nvidia-smi -L: observed "garbage"`)
}

func TestAProgramThatHangsIsGivenUp(t *testing.T) {
	smi := mock(t, "sleep 60 & sleep 60")
	smi.Timeout = 100 * time.Millisecond
	began := time.Now()
	_, err := smi.Devices(t.Context())
	require.ErrorContains(t, err, "no answer within 100ms")
	require.Less(t, time.Since(began), 10*time.Second, "what it started holds its output open, and isn't waited for")
}

func TestSamplesAreOfTheDevicesAskedFor(t *testing.T) {
	smi := mock(t, `[ "$1" = "--id=`+first+`" ] || { echo "asked for $1"; exit 2; }; echo '`+first+`, 37, 1024, 15360'`)
	samples, err := smi.Samples(t.Context(), []Device{{ID: first}})
	require.NoError(t, err)
	require.Equal(t, []Sample{{ID: first, Utilisation: 37, Used: 1 << 30, Total: 15 << 30}}, samples)

	samples, err = answers(t, first+", [N/A], [N/A], 15360").Samples(t.Context(), []Device{{ID: first}})
	require.NoError(t, err)
	require.Empty(t, samples, "a GPU that measures nothing has no sample")
	for _, line := range []string{first + ", 101, 1, 2", first + ", -1, 1, 2", first + ", 50 %, 1, 2", first + ", 50, 3, 2", "x, 50, 1, 2", first + ", 50, 1"} {
		_, err := answers(t, line).Samples(t.Context(), []Device{{ID: first}})
		require.Error(t, err, line)
	}
}

func TestSelections(t *testing.T) {
	found := []Device{{ID: first, Index: 0}, {ID: second, Index: 1}, {ID: slice1, Index: 2, MIG: true}}
	for text, want := range map[string]string{
		"auto": first + " " + second + " " + slice1, "none": "", "0": "", "2": first + " " + second,
		"device=1": second, "device=1,0": second + " " + first, "device=" + slice1: slice1, "device=" + second: second,
	} {
		s, err := ParseSelection(text)
		require.NoError(t, err, text)
		got, err := s.Of(found)
		require.NoError(t, err, text)
		require.Equal(t, want, strings.Join(IDs(got), " "), text)
		require.Equal(t, want == "" && text != "auto", s.None(), text)
	}
	for _, text := range []string{"", "-1", "1000", "all", "0,1", "device=", "device=x", "device=0,0", "device=GPU-", "device=-1", "device=01", "2.5"} {
		_, err := ParseSelection(text)
		require.Error(t, err, text)
	}
	for text, says := range map[string]string{
		"4": "4 GPUs: 3 found", "device=7": "GPU 7: not found; there is 0 (" + first + ")", "device=2": "GPU 2: not found", "device=0," + first: "named twice",
	} {
		s, err := ParseSelection(text)
		require.NoError(t, err, text)
		_, err = s.Of(found)
		require.ErrorContains(t, err, says, text)
	}
	s, err := ParseSelection("device=3," + first)
	require.NoError(t, err)
	require.Equal(t, []string{"3", first}, IDs(s.Unseen()))
	require.Equal(t, []string{"0", "1"}, IDs(Selection{Count: 2}.Unseen()))
}

func TestLowUtilisationIsSaidOnceOverAWindow(t *testing.T) {
	look := func(percent ...float64) []Sample {
		var out []Sample
		for i, p := range percent {
			out = append(out, Sample{ID: strconv.Itoa(i), Utilisation: p, Used: int64(i+1) << 30})
		}
		return out
	}
	for _, c := range []struct {
		name    string
		samples func(i int) []Sample
		n       int
		said    int // times that Add says it
		low     bool
	}{
		{"busy", func(int) []Sample { return look(95) }, 100, 0, false},
		{"exactly at the limit", func(int) []Sample { return look(70) }, 100, 0, false},
		{"half idle", func(int) []Sample { return look(50) }, 100, 1, true},
		{"one of two GPUs idles", func(int) []Sample { return look(100, 0) }, 40, 1, true},
		{"busy on average, with lows", func(i int) []Sample { return look(100 - 90*float64(i%4/3)) }, 100, 0, false},
		{"a low at the start that passes", func(i int) []Sample { return look(map[bool]float64{true: 0, false: 100}[i < 5]) }, 100, 0, false},
		{"short and idle", func(int) []Sample { return look(10) }, 8, 0, true},
		{"too short to say", func(int) []Sample { return look(10) }, 5, 0, false},
		{"nothing measured", func(int) []Sample { return nil }, 100, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			u, said := &Usage{}, 0
			for i := range c.n {
				if text := u.Add(c.samples(i)); text != "" {
					said++
					require.Contains(t, text, "the data loader is the bottleneck")
				}
			}
			require.Equal(t, c.said, said)
			require.Equal(t, c.low, u.Low() != "", u.Low())
		})
	}
	u := &Usage{}
	require.Nil(t, u.Use())
	u.Add(look(100, 50))
	u.Add(look(0, 50))
	require.Equal(t, &Use{Samples: 2, Utilisation: 50, PeakMemory: 2 << 30}, u.Use())
}

func FuzzOutputIsDevicesOrAnError(f *testing.F) {
	f.Add("0, "+first+", Tesla T4, 15360, Disabled\n", "GPU 0: T4 (UUID: "+first+")\n  MIG 1g.5gb Device 0: (UUID: "+slice1+")\n")
	f.Add("0, "+first+", \"A, B\", [N/A], Enabled\n", "")
	f.Fuzz(func(t *testing.T, query, listed string) {
		devices, split, err := parseDevices([]byte(query))
		if err != nil {
			return
		}
		devices, err = withInstances(devices, split, []byte(listed))
		if err != nil {
			return
		}
		for _, d := range devices {
			if !isUUID(d.ID) || d.Memory < 0 || d.Index < 0 || d.Index >= MaxDevices {
				t.Fatal(fmt.Errorf("observed %+v", d), errors.New("of "+query))
			}
		}
	})
}
