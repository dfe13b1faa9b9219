"""Drives a Lambda alias with weights: the program of serving.command (docs/serving-targets.md).

    python3 target.py --function flights --alias live --region eu-central-1 VERB

A version is a published version of the function, known by its description; the alias routes by weights, and its
description holds the ledger's entry that it is by. Nothing but Python's standard library is needed.

APIs: https://docs.aws.amazon.com/lambda/latest/api/ (PublishVersion, UpdateFunctionCode, ListVersionsByFunction,
GetAlias, CreateAlias, UpdateAlias, DeleteFunction), Signature Version 4:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import argparse
import base64
import datetime
import hashlib
import hmac
import io
import json
import os
import random
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile

REFUSED = 2  # exit code: no retry can help


class Refused(Exception):
    """What was asked for can't be done, now or later."""


class ApiError(Exception):
    """An answer that isn't a success. kind is Lambda's name of it, such as ResourceNotFoundException."""

    def __init__(self, status, kind, message):
        super().__init__(f"{kind or status}: {message}")
        self.status, self.kind = status, kind


def sign(key, *messages):
    for message in messages:
        key = hmac.new(key, message.encode(), hashlib.sha256).digest()
    return key


class Lambda:
    """The few calls that aliases need, signed and tried again where Lambda asks for that, until a deadline."""

    def __init__(self, region, endpoint, access_key, secret_key, session_token, deadline):
        self.region, self.deadline = region, deadline
        self.endpoint = (endpoint or f"https://lambda.{region}.amazonaws.com").rstrip("/")
        self.keys = access_key, secret_key, session_token

    def call(self, method, path, body=None, **query):
        pause = 0.2
        while True:
            try:
                return self.once(method, "/2015-03-31/functions" + path, body, query)
            except (ApiError, OSError) as error:
                again = not isinstance(error, ApiError) or error.status in (429, 500, 502, 503, 504)
                if not again or time.time() + pause > self.deadline:
                    raise
            time.sleep(pause * (0.5 + random.random() / 2))
            pause = min(2 * pause, 5)

    def once(self, method, path, body, query):
        payload = b"" if body is None else json.dumps(body).encode()
        text = "&".join(f"{quote(k)}={quote(str(v))}" for k, v in sorted(query.items()))
        request = urllib.request.Request(self.endpoint + path + ("?" + text if text else ""), payload or None, method=method)
        for name, value in self.signed(method, path, text, payload).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=max(1, self.deadline - time.time())) as answer:
                raw = answer.read()
                return json.loads(raw) if raw else {}
        except urllib.error.HTTPError as error:
            kind = (error.headers.get("x-amzn-ErrorType") or "").split(":")[0]
            try:
                told = json.load(error)
                message = told.get("message") or told.get("Message") or ""
            except ValueError:
                message = error.reason
            raise ApiError(error.code, kind, message) from None

    def signed(self, method, path, query, payload):
        access_key, secret_key, session_token = self.keys
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        headers = {"Content-Type": "application/json", "Host": urllib.parse.urlsplit(self.endpoint).netloc, "X-Amz-Date": now}
        if session_token:
            headers["X-Amz-Security-Token"] = session_token
        names = ";".join(sorted(name.lower() for name in headers))
        canonical = "\n".join(
            [method, quote(path, "/"), query]
            + [f"{name.lower()}:{value}" for name, value in sorted(headers.items(), key=lambda item: item[0].lower())]
            + ["", names, hashlib.sha256(payload).hexdigest()]
        )
        scope = f"{now[:8]}/{self.region}/lambda/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        signature = sign(b"AWS4" + secret_key.encode(), now[:8], self.region, "lambda", "aws4_request", text).hex()
        headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        return headers


def quote(text, safe=""):
    return urllib.parse.quote(text, safe="-_.~" + safe)


class Alias:
    """One alias of one function, and the versions that leanloop published there."""

    def __init__(self, api, model, function, name):
        self.api, self.model, self.function, self.name = api, model, "/" + quote(function), name
        self.path = f"{self.function}/aliases/{quote(name)}"

    def versions(self):
        """Lambda's version by leanloop's."""
        found, marker = {}, {}
        while True:
            page = self.api.call("GET", self.function + "/versions", MaxItems=50, **marker)
            for version in page["Versions"]:
                words = version.get("Description", "").split()
                if len(words) == 4 and words[:2] == ["leanloop", self.model] and version["Version"] != "$LATEST":
                    found[int(words[2])] = version["Version"]
            if not page.get("NextMarker"):
                return found
            marker = {"Marker": page["NextMarker"]}

    def get(self):
        try:
            return self.api.call("GET", self.path)
        except ApiError as error:
            if error.status != 404:
                raise
        self.api.call("GET", self.function + "/configuration")  # it is the alias that isn't there, not the function
        return None

    def deploy(self, request):
        """Publish the handler and the version's files. What was published already is left as it is."""
        number = request["version"]
        if number not in self.versions():
            files = request["artifact"]
            content = package(files["folder"], files["files"], number)
            code = self.api.call("PUT", self.function + "/code", {"ZipFile": base64.b64encode(content).decode(), **revision(self.settled())})
            self.settled()
            # By the code's digest: what somebody else has uploaded meanwhile isn't published under this name.
            self.api.call("POST", self.function + "/versions", {
                "CodeSha256": code["CodeSha256"], "Description": f"leanloop {self.model} {number} {files['digest']}",
            })
        return {"deployed": {"version": number, "id": self.versions()[number]}}

    def settled(self):
        """The function's configuration, once no update is under way."""
        while True:
            now = self.api.call("GET", self.function + "/configuration")
            if now.get("LastUpdateStatus") == "Failed":
                raise Refused(f"the function's last update failed: {now.get('LastUpdateStatusReason')}")
            if now.get("LastUpdateStatus") != "InProgress" and now.get("State") != "Pending":
                return now
            if time.time() + 0.5 > self.api.deadline:
                raise TimeoutError("the function's update is still under way")
            time.sleep(0.5)

    def weight(self, request):
        versions = self.versions()
        champion, challenger, share = request["champion"], request.get("challenger", 0), request["weight"]
        for number in filter(None, [champion, challenger]):
            if number not in versions:
                raise Refused(f"version {number} isn't deployed")
        extra = {versions[challenger]: share} if challenger and share > 0 else {}
        body = {"FunctionVersion": versions[champion], "Description": f"leanloop {self.model} entry {request['entry']}",
                "RoutingConfig": {"AdditionalVersionWeights": extra}}
        there = self.get()
        if there is None:
            self.api.call("POST", self.function + "/aliases", {"Name": self.name, **body})
        else:
            words = there.get("Description", "").split()
            if words[:3] == ["leanloop", self.model, "entry"] and int(words[3]) > request["entry"]:
                raise ApiError(412, "", f"the alias is by entry {words[3]}, and this is {request['entry']}")
            self.api.call("PUT", self.path, {**body, **revision(there)})
        return {"set": {"champion": champion, "challenger": challenger, "weight": share}}

    def read(self, _request):
        versions, alias = self.versions(), self.get()
        shares = {}
        if alias:
            shares = dict((alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {})
            shares[alias["FunctionVersion"]] = max(0.0, 1 - sum(shares.values()))
        return {"versions": [{"version": n, "weight": shares.get(id, 0), "id": id} for n, id in sorted(versions.items())]}

    def remove(self, request):
        id = self.versions().get(request["version"])
        if id:
            self.api.call("DELETE", self.function, Qualifier=id)
        return {"removed": {"version": request["version"]}}


def revision(seen):
    """What makes a change fail where somebody else's came in between."""
    return {"RevisionId": seen["RevisionId"]} if seen.get("RevisionId") else {}


def package(folder, files, number):
    """The zip of handler/ and of the version's files below model/: the same bytes for the same version."""
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "handler")
    names = [(name, os.path.join(here, name)) for name in sorted(os.listdir(here)) if name.endswith(".py")]
    names += [("model/" + name, os.path.join(folder, *name.split("/"))) for name in sorted(files)]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        def add(name, content):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)

        for name, path in names:
            with open(path, "rb") as f:
                add(name, f.read())
        add("version.json", json.dumps({"version": number}))
    return out.getvalue()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--function", required=True)
    parser.add_argument("--alias", default="live")
    parser.add_argument("--region", required=True)
    parser.add_argument("--endpoint", help="instead of AWS's own")
    parser.add_argument("verb", choices=["deploy", "weight", "read", "remove"])
    args = parser.parse_args()
    request = json.load(sys.stdin)
    deadline = datetime.datetime.fromisoformat(request["deadline"].replace("Z", "+00:00")).timestamp() - 2
    keys = os.environ.get("TARGET_AWS_ACCESS_KEY_ID"), os.environ.get("TARGET_AWS_SECRET_ACCESS_KEY")
    try:
        if not all(keys):
            raise Refused("TARGET_AWS_ACCESS_KEY_ID and TARGET_AWS_SECRET_ACCESS_KEY aren't set (serving.secrets)")
        api = Lambda(args.region, args.endpoint, *keys, os.environ.get("TARGET_AWS_SESSION_TOKEN"), deadline)
        answer = getattr(Alias(api, request["model"], args.function, args.alias), args.verb)(request)
    except Refused as error:
        print(error, file=sys.stderr)
        return REFUSED
    except ApiError as error:
        print(error, file=sys.stderr)
        # 409 and 412: somebody else was faster, or an update is under way. Everything else of this kind stays so.
        return REFUSED if 400 <= error.status < 500 and error.status not in (409, 412, 429) else 1
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    json.dump(answer, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
