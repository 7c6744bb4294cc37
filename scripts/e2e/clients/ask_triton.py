"""Asks a server as server.py has it with Triton's client, over HTTPS and over gRPC with TLS. What holds is a line each."""

import json
import ssl
from urllib.parse import urlsplit

import numpy as np
import tritonclient.grpc
import tritonclient.http
from google.protobuf.json_format import MessageToDict
from tritonclient.utils import InferenceServerException

from server import CA, DIGIT, GRPC, REST, ROWS, authorization, check, is_pair, is_three


def expect(status, call, *args, **kwargs):
    """Asserts that a call fails with a status."""
    try:
        call(*args, **kwargs)
    except InferenceServerException as failure:
        assert failure.status() == status, f"{failure.status()}, want {status}: {failure}"
    else:
        raise AssertionError(f"{call.__name__} is answered, want {status}")


def ask(over, module, client, statuses, compression):
    """Asks over HTTP or gRPC: they differ in how a failure is said and a body compressed. Returns the scores of mnist."""
    with check(f"tritonclient over {over}: server and models are ready"):
        assert client.is_server_live() and client.is_server_ready()
        assert client.is_model_ready("pair", headers=authorization()) and client.is_model_ready("mnist", "1.0", headers=authorization())

    with check(f"tritonclient over {over}: metadata"):
        server, model = client.get_server_metadata(headers=authorization()), client.get_model_metadata("pair", headers=authorization())
        if over == "gRPC":
            server, model = (MessageToDict(message, preserving_proto_field_name=True) for message in (server, model))
        assert server["name"] == "tsgo", server
        (x,) = model["inputs"]
        assert (x["name"], x["datatype"], [int(n) for n in x["shape"]]) == ("x", "FP32", [-1, 4]), model
        double, negated = (output["name"] for output in model["outputs"])

    rows = module.InferInput("x", list(ROWS.shape), "FP32")
    rows.set_data_from_numpy(ROWS)
    with check(f"tritonclient over {over}: FP32 tensors, all outputs and one"):
        result = client.infer("pair", [rows], request_id="7", headers=authorization())
        is_pair(result.as_numpy(double), result.as_numpy(negated))
        one = client.infer("pair", [rows], outputs=[module.InferRequestedOutput(negated)], headers=authorization())
        assert one.as_numpy(double) is None
        np.testing.assert_array_equal(one.as_numpy(negated), -ROWS)

    picture = module.InferInput("input", [1], "BYTES")
    picture.set_data_from_numpy(np.array([DIGIT], np.object_))
    with check(f"tritonclient over {over}: a picture as BYTES"):
        scores = client.infer("mnist", [picture], model_version="1.0", headers=authorization()).as_numpy("output")
        is_three(scores)

    with check(f"tritonclient over {over}: compressed by gzip"):
        result = client.infer("mnist", [picture], headers=authorization(), **compression)
        np.testing.assert_allclose(result.as_numpy("output"), scores, rtol=1e-6)

    unauthorized, unknown = statuses
    with check(f"tritonclient over {over}: refusals"):
        expect(unauthorized, client.infer, "pair", [rows])
        expect(unauthorized, client.infer, "pair", [rows], headers={"authorization": "Bearer wrong"})
        expect(unknown, client.infer, "nobody", [rows], headers=authorization())
    return scores


def ask_in_json(client):
    """Asks over HTTPS with tensors that are JSON, where they are binary data otherwise."""
    with check("tritonclient over HTTPS: JSON in the place of binary data"):
        rows = tritonclient.http.InferInput("x", list(ROWS.shape), "FP32")
        rows.set_data_from_numpy(ROWS, binary_data=False)
        names = [output["name"] for output in client.get_model_metadata("pair", headers=authorization())["outputs"]]
        outputs = [tritonclient.http.InferRequestedOutput(name, binary_data=False) for name in names]
        result = client.infer("pair", [rows], outputs=outputs, headers=authorization())
        assert all("data" in output for output in result.get_response()["outputs"]), json.dumps(result.get_response())
        is_pair(*(result.as_numpy(name) for name in names))


def main():
    with tritonclient.http.InferenceServerClient(
        urlsplit(REST).netloc, ssl=True, ssl_context_factory=lambda: ssl.create_default_context(cafile=CA)
    ) as client:
        gzip = {"request_compression_algorithm": "gzip", "response_compression_algorithm": "gzip"}
        scores = ask("HTTPS", tritonclient.http, client, ("401", "404"), gzip)
        ask_in_json(client)
    with tritonclient.grpc.InferenceServerClient(GRPC, ssl=True, root_certificates=CA) as client:
        statuses = ("StatusCode.UNAUTHENTICATED", "StatusCode.NOT_FOUND")
        same = ask("gRPC", tritonclient.grpc, client, statuses, {"compression_algorithm": "gzip"})
    np.testing.assert_allclose(same, scores, rtol=1e-6)


if __name__ == "__main__":
    main()
