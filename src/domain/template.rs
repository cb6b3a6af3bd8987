//! Templates: `*.j2` by minijinja, `*.tera` by tera, behind one renderer.
