// Swagger UI, without its validator, which is on another host. The page's policy forbids inline
// scripts, hence this file.
/** @type {any} */ (globalThis).SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  validatorUrl: null,
});
