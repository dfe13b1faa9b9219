package drift

// AlertAfter reports whether somebody is to be told: at least k of the newest n windows alert. history holds the
// windows' alerts, oldest first, inconclusive windows left out: they are neither. k and n are at least 1, and n at least
// k, whatever is given. With fewer than n windows so far, k of those there are suffice.
func AlertAfter(history []bool, k, n int) bool {
	k = max(k, 1)
	n = max(n, k)
	alerts := 0
	for _, alert := range history[max(0, len(history)-n):] {
		if alert {
			alerts++
		}
	}
	return alerts >= k
}
