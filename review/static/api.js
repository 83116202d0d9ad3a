// Requests to the server. Whatever goes wrong is a Problem: with status 0 the server was not reached.

const PATIENCE = 20_000; // milliseconds

export class Problem extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }

  /** Whether the same request may go well later. */
  get passing() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500 || this.needsToken;
  }

  get needsToken() {
    return this.status === 401;
  }
}

/** Sends a request and gives the answer's JSON; `body` is an object, or a FormData. */
export async function call(method, path, body, { signal, keepalive = false, patience = PATIENCE } = {}) {
  const answer = await fetched(method, path, body, { signal, keepalive, patience });
  try {
    return await answer.json();
  } catch {
    throw new Problem(0, "broken_answer", "The answer of the server broke off.");
  }
}

/** Sends a form and gives the answer's bytes as a Blob. */
export async function callForBlob(path, form, options = {}) {
  const answer = await fetched("POST", path, form, { patience: PATIENCE, ...options });
  try {
    return await answer.blob();
  } catch {
    throw new Problem(0, "broken_answer", "The answer of the server broke off.");
  }
}

async function fetched(method, path, body, { signal, keepalive = false, patience }) {
  const headers = { "X-Formscribe": "1", Accept: "application/json" };
  const isForm = body instanceof FormData;
  if (body !== undefined && !isForm) headers["Content-Type"] = "application/json";
  const late = AbortSignal.timeout(patience);
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers,
      keepalive,
      body: body === undefined || isForm ? body : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, late]) : late,
      redirect: "error",
    });
  } catch (error) {
    if (signal?.aborted) throw new Problem(0, "stopped", "Stopped.");
    if (error.name === "TimeoutError") throw new Problem(0, "timeout", "The server took too long.");
    throw new Problem(0, "unreachable", "The server does not answer.");
  }
  if (answer.ok) return answer;
  let told = {};
  try {
    told = await answer.json();
  } catch {
    // a proxy's page, say
  }
  throw new Problem(answer.status, told.code ?? "unknown", told.detail ?? `The server answered ${answer.status}.`);
}
