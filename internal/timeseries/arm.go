package timeseries

// ArmMeasurement is what gateways write and the canary reads. Tags: model, version, arm, gateway. Time: the end of the
// interval that was counted, fixed once. Fields, all of them counts of the interval or sums:
//
//	requests      requests of which the arm was asked for at least one row
//	predictions   rows that the arm was asked for
//	errors        requests in which the arm failed
//	fallbacks     those of them that the champion answered instead
//	latency_sum_s encoding and scoring, in seconds
//	lat_00...     the same as a histogram of requests (HistogramOf)
//	pred_000...   predictions as a histogram (PredictionsOf): the first that the arm gave in each request, since rows of
//	              one request resemble each other
//
// A request that the client got wrong counts nowhere. A row that the champion answers for a failed challenger counts
// on the challenger's arm alone, so a failing challenger doesn't look like traffic of the champion.
const ArmMeasurement = "leanloop_arm"

// The arms of a split, as in tags, answers and the prediction log.
const (
	ArmChampion   = "champion"
	ArmChallenger = "challenger"
)

// The fields of ArmMeasurement besides the histogram.
const (
	FieldRequests    = "requests"
	FieldPredictions = "predictions"
	FieldErrors      = "errors"
	FieldFallbacks   = "fallbacks"
	FieldLatencySum  = "latency_sum_s"
)
