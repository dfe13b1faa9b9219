package dataset

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestCellsThatASpreadsheetWouldRunAreEscapedForPeople(t *testing.T) {
	for cell, want := range map[string]string{
		"=1+1": "'=1+1", "=cmd|' /C calc'!A0": "'=cmd|' /C calc'!A0", "@SUM(A1)": "'@SUM(A1)", "+1+2": "'+1+2", "-1+2": "'-1+2", "-2+3+cmd|'": "'-2+3+cmd|'",
		"\t=1": "'\t=1", "\r=1": "'\r=1", "\n=1": "'\n=1", "-": "'-", "+": "'+", "-x": "'-x", "+49 170": "'+49 170",
		"-1.5": "-1.5", "+1": "+1", "-1e-5": "-1e-5", "": "", "a=b": "a=b", "x": "x", "'=1": "'=1", " =1": " =1", "1-2": "1-2",
	} {
		require.Equal(t, want, EscapeFormula(cell), cell)
	}
}

func TestExportsAreEscapedAndTheDataPathIsNot(t *testing.T) {
	table := mustRead(t, "=h,n,b\n=1+1,-1.5,true\n\"@x,y\",2,false\n-3,-4,true\n\"=\"\"q\"\"\",,\n")
	require.Equal(t, Category, table.Columns[0].Kind)
	var plain, people bytes.Buffer
	require.NoError(t, WriteCSV(&plain, table))
	require.Equal(t, "=h,n,b\n=1+1,-1.5,true\n\"@x,y\",2,false\n-3,-4,true\n\"=\"\"q\"\"\",,\n", plain.String())
	require.NoError(t, ExportCSV(&people, table))
	require.Equal(t, "'=h,n,b\n'=1+1,-1.5,true\n\"'@x,y\",2,false\n-3,-4,true\n\"'=\"\"q\"\"\",,\n", people.String())
}

func TestNoExportedCellIsRun(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := genTable(t)
		var b bytes.Buffer
		require.NoError(t, ExportCSV(&b, table))
		again, _, _, err := Read(t.Context(), &b, ReadOptions{Name: "f.csv"})
		require.NoError(t, err)
		for i := range again.Columns {
			c := &again.Columns[i]
			require.False(t, runs([]byte(c.Name)), "%q", c.Name)
			for row := range again.Rows {
				require.False(t, c.Kind.coded() && runs(c.appendCell(nil, row)), "column %q row %d", c.Name, row)
			}
		}
	})
}
