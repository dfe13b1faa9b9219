"""Asks a gateway by Triton's own client, as users of other servers do. Usage: triton_client.py HOST:PORT MODEL

Prints what it was told as JSON. Inputs and outputs go as binary tensors, which is the client's default, then as JSON.
"""

import json
import sys

import numpy as np
import tritonclient.http as http

client = http.InferenceServerClient(sys.argv[1])
model = sys.argv[2]
found = {
    "live": client.is_server_live(),
    "ready": client.is_server_ready(),
    "model_ready": client.is_model_ready(model),
    "server": client.get_server_metadata()["name"],
    "index": client.get_model_repository_index(),
    "metadata": client.get_model_metadata(model),
}


def infer(binary, version="", **wanted):
    delay = http.InferInput("dep_delay", [2, 1], "FP32")
    delay.set_data_from_numpy(np.array([[20.0], [-50.0]], dtype=np.float32), binary_data=binary)
    carrier = http.InferInput("carrier", [2], "BYTES")
    carrier.set_data_from_numpy(np.array(["UA", "AA"], dtype=object), binary_data=binary)
    answer = client.infer(model, [delay, carrier], model_version=version, request_id="r-1", **wanted)
    assert answer.get_response()["id"] == "r-1"
    names = [o["name"] for o in answer.get_response()["outputs"]]
    return {n: [v.decode() if isinstance(v, bytes) else v for v in answer.as_numpy(n).tolist()] for n in names}


outputs = [http.InferRequestedOutput(n, binary_data=b) for n, b in (("prediction", True), ("score", False))]
found["binary"] = infer(True)
found["json"] = infer(False, outputs=outputs)
found["of_version"] = infer(True, version="1", outputs=outputs)
for bad in ({"version": "7"}, {"outputs": [http.InferRequestedOutput("proba")]}):
    try:
        infer(True, **bad)
    except http.InferenceServerException as refused:
        found.setdefault("refused", []).append(refused.message())
print(json.dumps(found))
