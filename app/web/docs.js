/** Shows the OpenAPI document; without a validator, which would be asked on another host. */
globalThis.SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  validatorUrl: null,
});
