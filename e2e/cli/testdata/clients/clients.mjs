// Calls the API with each client named in the arguments and prints a line for each.
// It runs in Node.js, Bun and Deno.
import { createRequire } from 'node:module';
import http from 'node:http';

const { PAYLINK_URL: url, PAYLINK_KEY: key, PAYLINK_SECRET: secret, CLIENTS: clients } = process.env;
const require = createRequire(clients + '/package.json');

const basic = 'Basic ' + Buffer.from(`${key}:${secret}`).toString('base64');
const order = (name) => ({ amount: '12.50', currency: 'EUR', reference: name });

const fetchWith = (fetch) => async (name) => {
  const headers = { Authorization: `Bearer ${secret}` };
  const made = await fetch(url + '/api/payment', {
    method: 'POST', headers: { ...headers, 'Content-Type': 'application/json', 'Idempotency-Key': name }, body: JSON.stringify(order(name)),
  });
  const listed = await fetch(url + '/api/payments', { headers });
  return [made.status, await made.json(), listed.status, await listed.json()];
};

const axiosWith = (adapter) => async (name) => {
  const client = require('axios').create({ baseURL: url, adapter, auth: { username: key, password: secret }, validateStatus: () => true });
  const made = await client.post('/api/payment', order(name), { headers: { 'Idempotency-Key': name } });
  const listed = await client.get('/api/payments');
  return [made.status, made.data, listed.status, listed.data];
};

const ways = {
  'fetch-built-in': fetchWith(fetch),
  'undici-fetch': (name) => fetchWith(require('undici').fetch)(name),
  'undici-request': async (name) => {
    const undici = require('undici');
    const made = await undici.request(url + '/api/payment', {
      method: 'POST', headers: { authorization: basic, 'content-type': 'application/json', 'idempotency-key': name }, body: JSON.stringify(order(name)),
    });
    const body = await made.body.json();
    const listed = await undici.request(url + '/api/payments', { headers: { authorization: basic } });
    return [made.statusCode, body, listed.statusCode, await listed.body.json()];
  },
  'axios-http': axiosWith('http'),
  'axios-fetch': axiosWith('fetch'),
  'http-chunked': (name) => {
    const call = (method, path, body) => new Promise((resolve, reject) => {
      const req = http.request(url + path, { method, headers: { authorization: basic, ...(body && { 'content-type': 'application/json; charset=utf-8' }) } }, (res) => {
        let text = '';
        res.on('data', (part) => { text += part; }).on('end', () => resolve([res.statusCode, JSON.parse(text)]));
      });
      req.on('error', reject);
      if (body) req.write(body); // without a length: chunked
      req.end();
    });
    return Promise.all([call('POST', '/api/payment', JSON.stringify(order(name))), call('GET', '/api/payments')]).then((both) => both.flat());
  },
};

for (const name of process.argv.slice(2)) {
  try {
    const [status, made, listStatus, listed] = await ways[name](name);
    const ok = status === 200 && made.object === 'link' && listStatus === 200 && listed.object === 'list';
    console.log(name, ok ? 'ok' : `failed: ${status} ${JSON.stringify(made)} ${listStatus} ${JSON.stringify(listed)}`);
  } catch (error) {
    console.log(name, 'failed:', error);
  }
}
