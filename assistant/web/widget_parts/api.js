// The way to the server: plain requests with the conversation's own token, no cookies.
const api = (() => {
  const call = async (method, path, body, options = {}) => {
    const { token = "", ...rest } = options;
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    if (body !== undefined) headers["content-type"] = "application/json";
    const response = await fetch(`${ORIGIN}/api/v1/conversations${path}`, {
      method,
      headers: { ...headers, ...rest.headers },
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "omit",
      signal: rest.signal,
    });
    if (!response.ok) {
      const { status } = response;
      const passes = response.headers.has("retry-after") || [502, 504].includes(status);
      throw Object.assign(new Error(response.statusText), { status, passes });
    }
    return response;
  };

  // Server-sent events of a response, each {name, id, data}; EventSource cannot send a token.
  async function* events(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let buffer = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      buffer += value;
      const blocks = buffer.split("\n\n");
      buffer = blocks.pop();
      for (const block of blocks) {
        const fields = Object.fromEntries(
          block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]),
        );
        if (fields.data) yield { name: fields.event, id: fields.id, data: JSON.parse(fields.data) };
      }
    }
  }

  return { call, events };
})();
