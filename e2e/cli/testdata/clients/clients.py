"""Calls the API with each HTTP client of Python and prints a line for each."""
import base64
import json
import os
import urllib.request

import httpx
import requests
import urllib3

URL, KEY, SECRET = os.environ["PAYLINK_URL"], os.environ["PAYLINK_KEY"], os.environ["PAYLINK_SECRET"]
BASIC = "Basic " + base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()


def order(name):
    return {"amount": "12.50", "currency": "EUR", "reference": name}


def with_requests(name):
    made = requests.post(URL + "/api/payment", json=order(name), auth=(KEY, SECRET), headers={"Idempotency-Key": name}, timeout=30)
    listed = requests.get(URL + "/api/payments", auth=(KEY, SECRET), timeout=30)
    return made.status_code, made.json(), listed.status_code, listed.json()


def with_httpx(name):
    with httpx.Client(base_url=URL, headers={"Authorization": "Bearer " + SECRET}, timeout=30) as client:
        made = client.post("/api/payment", json=order(name), headers={"Idempotency-Key": name})
        listed = client.get("/api/payments")
    return made.status_code, made.json(), listed.status_code, listed.json()


def with_urllib3(name):
    pool = urllib3.PoolManager()
    made = pool.request("POST", URL + "/api/payment", body=json.dumps(order(name)).encode(),
                        headers={"Authorization": BASIC, "Content-Type": "application/json", "Idempotency-Key": name})
    listed = pool.request("GET", URL + "/api/payments", headers={"Authorization": BASIC})
    return made.status, json.loads(made.data), listed.status, json.loads(listed.data)


def with_urllib(name):
    def call(path, body=None):
        req = urllib.request.Request(URL + path, body and json.dumps(body).encode(), {"Authorization": BASIC, "Content-Type": "application/json"})
        with urllib.request.urlopen(req, timeout=30) as answer:
            return answer.status, json.load(answer)
    return *call("/api/payment", order(name)), *call("/api/payments")


for way in with_requests, with_httpx, with_urllib3, with_urllib:
    label = way.__name__.replace("with_", "python-")
    try:
        status, made, list_status, listed = way(label)
        ok = status == 200 and made["object"] == "link" and list_status == 200 and listed["object"] == "list"
        print(label, "ok" if ok else f"failed: {status} {made} {list_status} {listed}", flush=True)
    except Exception as error:  # each client has its own
        print(label, "failed:", repr(error), flush=True)
