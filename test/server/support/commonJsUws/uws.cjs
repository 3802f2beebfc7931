throw new Error("This version of uWS.js supports only some systems\n\nError: libc.so.6: version `GLIBC_2.38' not found");
