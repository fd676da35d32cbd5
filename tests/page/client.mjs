// A client of the API that is made from the API's own description (OpenAPI), and holds every answer against it.

import Ajv from 'ajv/dist/2020.js';
import formats from 'ajv-formats';

/** Reads the description that the sender serves. */
export async function describedClient(house) {
  const description = await (await fetch(`${house.url}/api/v1/openapi.json`)).json();
  return new Client(house, description);
}

class Client {
  /** "METHOD path" of every call made, with the statuses seen. */
  seen = new Map();

  constructor(house, description) {
    this.house = house;
    this.description = description;
    // strict also finds words in the schemas that mean nothing.
    this.ajv = new Ajv({ strict: true, allErrors: true, allowUnionTypes: true, strictTypes: false, strictRequired: false });
    formats(this.ajv);
    for (const format of ['int32', 'int64', 'float', 'double', 'binary']) this.ajv.addFormat(format, true);
    for (const word of ['example', 'xml', 'externalDocs', 'discriminator']) this.ajv.addKeyword(word);
    this.ajv.addSchema({ $id: 'api', $defs: local(description.components.schemas) });
  }

  /** Every operation, as { method, path, operation }. */
  operations() {
    return Object.entries(this.description.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
    );
  }

  /** The operations that nothing good was ever answered to, as "METHOD path". */
  unanswered() {
    const good = (key) => this.seen.get(key)?.some((status) => status >= 200 && status < 300);
    return this.operations().map(({ method, path }) => `${method} ${path}`).filter((key) => !good(key));
  }

  /**
   * Calls an operation by its path as described; `at` fills the path's and the query's parameters. A body of bytes goes
   * as it is, any other as JSON. Who has a `cookie` shows no token.
   */
  async call(method, path, { at = {}, body, cookie, token = cookie ? null : this.house.token } = {}) {
    const operation = this.description.paths[path]?.[method.toLowerCase()];
    if (!operation) throw new Error(`${method} ${path} is not described`);
    const query = new URLSearchParams();
    let url = path;
    for (const { name, in: where, required } of operation.parameters ?? []) {
      if (at[name] === undefined) {
        if (required) throw new Error(`${method} ${path} needs ${name}`);
        continue;
      }
      if (where === 'path') url = url.replace(`{${name}}`, encodeURIComponent(at[name]));
      else query.set(name, at[name]);
    }
    const plain = body === undefined || body instanceof Uint8Array;
    const type = plain ? 'application/octet-stream' : 'application/json';
    const headers = { ...(token && { authorization: `Bearer ${token}` }), ...(cookie && { cookie }), ...(body !== undefined && { 'content-type': type }) };
    const answer = await fetch(`${this.house.url}${url}${query.size ? `?${query}` : ''}`, { method, headers, body: plain ? body : JSON.stringify(body) });
    const key = `${method} ${path}`;
    this.seen.set(key, [...(this.seen.get(key) ?? []), answer.status]);
    return { status: answer.status, headers: answer.headers, body: await this.#checked(key, operation, answer) };
  }

  /** The answer's body, which must be as described. */
  async #checked(key, operation, answer) {
    const described = operation.responses[answer.status];
    const type = (answer.headers.get('content-type') ?? '').split(';')[0];
    if (!described) throw new Error(`${key}: status ${answer.status} is not described: ${await answer.text()}`);
    const kinds = Object.keys(described.content ?? {});
    if (type === 'text/event-stream') {
      await answer.body.cancel();
      if (!kinds.includes(type)) throw new Error(`${key}: ${type} is not described`);
      return null;
    }
    const bytes = new Uint8Array(await answer.arrayBuffer());
    if (!kinds.length) {
      if (bytes.length) throw new Error(`${key}, ${answer.status}: ${bytes.length} bytes where none are described`);
      return null;
    }
    const kind = kinds.find((kind) => kind === type || kind === type.replace(/\/.*/, '/*'));
    if (!kind) throw new Error(`${key}, ${answer.status}: it is ${type}, described is ${kinds}`);
    if (!type.endsWith('json')) return bytes;
    const body = JSON.parse(new TextDecoder().decode(bytes));
    const schema = described.content[kind].schema;
    if (schema) this.#validate(`${key}, ${answer.status}`, schema, body);
    return body;
  }

  #validate(what, schema, body) {
    const check = this.ajv.compile(local(schema));
    if (!check(body)) throw new Error(`${what}: ${this.ajv.errorsText(check.errors)} in ${JSON.stringify(body).slice(0, 600)}`);
  }
}

/** Schemas as JSON Schema wants them: a description keeps its own elsewhere. */
function local(schema) {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/components/schemas/', '"api#/$defs/'));
}
