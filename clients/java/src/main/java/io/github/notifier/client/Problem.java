package io.github.notifier.client;

/**
 * Thrown where the service refuses an event or a request (RFC 9457), or where something else than the service has answered,
 * such as a proxy: then the code is 0.
 */
public final class Problem extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final int code;
    private final int status;
    private final String title;
    private final String detail;
    private final String pointer;

    Problem(int code, int status, String title, String detail, String pointer) {
        super(code + " " + title + ": " + detail);
        this.code = code;
        this.status = status;
        this.title = title;
        this.detail = detail;
        this.pointer = pointer;
    }

    /** The problem's number; {@code /problems/} and this number is a page about it. */
    public int code() {
        return code;
    }

    /** The HTTP status. */
    public int status() {
        return status;
    }

    /** The problem in a few words. */
    public String title() {
        return title;
    }

    /** What is wrong, and the way out. */
    public String detail() {
        return detail;
    }

    /** A JSON pointer (RFC 6901) to the field at fault, or null. */
    public String pointer() {
        return pointer;
    }
}
