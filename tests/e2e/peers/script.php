<?php
$body = file_get_contents('php://input');
if (isset($_GET['error'])) {
    error_log('trouble');
}
header('Content-Type: text/plain');
if (isset($_GET['header'])) {
    header('X-Long: ' . str_repeat('h', (int) $_GET['header']));
}
echo $_SERVER['REQUEST_METHOD'], ' ', strlen($body), ' ', hash('adler32', $body), "\n";
echo str_repeat('x', (int) ($_GET['size'] ?? 0));
